"""Trainings whose loss the script writes out: one that learns, one at chance, one too sure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("gainstage")
LIMIT = 240
"""Seconds after which a child that hangs is ended."""

CLASSIFIER = """\
import torch

torch.manual_seed(0)
x = torch.randn(2000, 10)
y = (x @ torch.randn(10, 5)).argmax(1)
w1, b1 = torch.randn(10, 64) / 10**0.5, torch.zeros(64)
w2, b2 = torch.randn(64, 5) * {head}, torch.zeros(5)
parameters = [w1, b1, w2, b2]
for p in parameters:
    p.requires_grad = True
for step in range(600):
    i = torch.randint(0, 2000, (32,))
    scores = torch.tanh(x[i] @ w1 + b1) @ w2 + b2
    loss = {loss} + 1e-4 * (w2**2).mean()
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data += -{rate} * p.grad
"""
PICKED = "-scores.log_softmax(1)[torch.arange(32), y[i]].mean()"
BY_PROBABILITIES = "-scores.softmax(1)[torch.arange(32), y[i]].log().mean()"
SHUFFLED = PICKED.replace("y[i]", "y[torch.randperm(2000)[:32]]")


def diagnosed(tmp_path, **settings):
    """The doctor's verdict on a script."""
    script, verdict = tmp_path / "train.py", tmp_path / "verdict.json"
    script.write_text(CLASSIFIER.format(**settings))
    options = ["--no-trial", "--no-report", "--dir", tmp_path / "runs", "--json", verdict]
    done = subprocess.run(
        [str(part) for part in (COMMAND, "doctor", *options, script)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.stderr == ""
    return json.loads(verdict.read_text())


@pytest.mark.parametrize("loss", [PICKED, BY_PROBABILITIES])
def test_one_that_learns_is_told_to_be_healthy_and_what_chance_is(tmp_path, loss):
    told = diagnosed(tmp_path, loss=loss, head=0.05, rate=0.3)
    assert told["healthy"]
    assert told["loss"]["expected_initial"] == pytest.approx(1.6, abs=0.05)


def test_labels_that_do_not_belong_to_their_inputs(tmp_path):
    told = diagnosed(tmp_path, loss=SHUFFLED, head=0.05, rate=0.3)
    assert [finding["code"] for finding in told["findings"]] == ["loss-not-decreasing"]


def test_a_start_that_is_too_sure(tmp_path):
    told = diagnosed(tmp_path, loss=PICKED, head=10, rate=0.0003)
    assert "overconfident-start" in [finding["code"] for finding in told["findings"]]
