"""The child process of a trial: the script with its changes, at another seed, and nothing else."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gainstage.store import StoredRecording

CODE = "import sys; from gainstage.interventions.launch import main; main(sys.argv[1:])"
SCRIPT = """\
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr={rate})
for step in range(20):
    loss = nn.functional.mse_loss(model(torch.randn(8, 4)), torch.zeros(8, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Run the script with changes; its losses, and what was recorded beside them."""

    def run(rate=0.1, **request):
        folder = tmp_path_factory.mktemp("trial")
        script = folder / "train.py"
        script.write_text(SCRIPT.format(rate=rate))
        options = {"run": str(folder / "x.gs"), "detail": "loss", **request}
        done = subprocess.run(
            [sys.executable, "-c", CODE, json.dumps(options), str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        with StoredRecording(folder / "x.gs") as recording:
            return recording.run_values("loss"), {site.kind for site in recording.sites}

    return run


def test_a_trial_without_changes_is_the_script_as_it_is(trial):
    plain, kinds = trial(changes=[])
    again, _ = trial(changes=[], seed=0)
    assert np.array_equal(plain, again)
    assert "output" not in kinds  # only the loss is asked for


def test_a_scaled_rate_is_the_same_as_another_number_in_the_script(trial):
    written, _ = trial(rate=0.01)
    injected, _ = trial(
        rate=0.1, changes=[{"name": "scale-learning-rate", "params": {"factor": 0.1}}]
    )
    assert injected == pytest.approx(written, rel=1e-5)


def test_another_seed_is_another_training_of_the_same_length(trial):
    first, _ = trial(seed=0)
    second, _ = trial(seed=1)
    again, _ = trial(seed=1)
    assert len(first) == len(second) == 20
    assert not np.array_equal(first, second)
    assert np.array_equal(second, again)


def test_a_trial_stops_at_the_steps_that_it_is_given(trial):
    losses, _ = trial(steps=7)
    assert len(losses) == 7
