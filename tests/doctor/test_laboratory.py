"""A script run again as a trial: however it ends, there is an outcome."""

import numpy as np
import pytest

from gainstage.doctor import laboratory
from gainstage.doctor.candidates import Change
from gainstage.doctor.laboratory import Laboratory, Trial

UNCHANGED = Trial((), 0)
SCRIPT = """\
import sys, time
import torch
print("told")
w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
for step in range(12):
    loss = (w * w).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 5 and "raises" in sys.argv:
        raise ValueError("boom")
    if step == 5 and "hangs" in sys.argv:
        time.sleep(600)
    if step == 5 and "asks" in sys.argv:
        input()
"""


@pytest.fixture
def run(tmp_path, capfd):
    """Make the trials of a script that is called with some arguments; nothing is printed."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def run(*args, trials=(UNCHANGED,), steps=10):
        made = Laboratory(str(script), args, False, steps, 1.0, 2)  # noqa: FBT003
        outcomes = made.run(trials)
        assert capfd.readouterr() == ("", "")
        return outcomes

    return run


def test_a_trial_is_as_long_as_the_observed_run(run):
    (outcome,) = run()
    assert outcome.told == ""
    assert outcome.progress.steps == 10
    assert outcome.seconds > 0
    assert 0 < outcome.loss < 1


def test_trials_side_by_side_come_back_in_order(run):
    slow = Trial((Change.of("scale-learning-rate", factor=0.01),), 0)
    fast = Trial((Change.of("scale-learning-rate", factor=4.0),), 0)
    losses = [outcome.loss for outcome in run(trials=[slow, fast, slow])]
    assert losses[0] == losses[2] > losses[1]


@pytest.mark.parametrize(("how", "told"), [("raises", "ValueError: boom"), ("asks", "EOFError")])
def test_a_script_that_raises_is_a_result(run, how, told):
    (outcome,) = run(how)
    assert told in outcome.told
    assert outcome.progress.steps == 6


def test_an_unknown_change_is_a_result_too(run):
    (outcome,) = run(trials=[Trial((Change.of("no-such-thing"),), 0)])
    assert "no-such-thing" in outcome.told
    assert outcome.loss is None


def test_a_script_that_hangs_is_ended(run, monkeypatch):
    monkeypatch.setattr(laboratory, "_GRACE", 8.0)
    monkeypatch.setattr(laboratory, "_PATIENCE", 1.0)
    (outcome,) = run("hangs")
    assert "took too long" in outcome.told


def test_processors_are_shared_out_unless_the_user_has_said_how(monkeypatch):
    made = Laboratory("a.py", (), False, 1, 1.0, 10_000)  # noqa: FBT003
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert made._environment()["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert made._environment()["OMP_NUM_THREADS"] == "3"


def test_a_recording_of_nothing_has_no_loss():
    from gainstage.recording import MemoryRecording
    from gainstage.records import Site

    run = MemoryRecording([Site(0, "run", "run", "", "", 0)], {(0, "loss"): [np.nan]})
    assert laboratory.outcome_of(run).loss is None
