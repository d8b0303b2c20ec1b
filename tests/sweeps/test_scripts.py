"""Sweeps of an unmodified script: the interventions as axes, and what came of each run."""

from __future__ import annotations

import math

import pytest

from gainstage.doctor.candidates import Change
from gainstage.errors import ScriptError, UnknownNameError, UsageError
from gainstage.sweeps.scripts import AXES, Script, check_axes, sweep_script
from gainstage.sweeps.space import axes_of, axis
from gainstage.sweeps.trials import Task

SCRIPT = """\
import sys
import torch
w = torch.nn.Linear(4, 1, bias=False)
optimizer = torch.optim.SGD(w.parameters(), lr=1e-4)
x = torch.eye(4)
for step in range(60):
    loss = (w(x) - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if "dies" in sys.argv and step == 5:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
open("left.txt", "w").write("x")
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)
    return "train.py"


def test_the_best_rate_of_a_script_is_found_and_nothing_is_left_behind(script, tmp_path):
    told = []
    found = sweep_script(
        script,
        (),
        ["lr=0.5,script", "init=xavier_uniform"],
        seeds=1,
        steps=40,
        halving=1,
        jobs=2,
        store=tmp_path / "a.sweep",
        note=told.append,
    )
    assert dict(found.best.row.point) == {"lr": 0.5, "init": "xavier_uniform"}
    assert found.best.row.mean < 1e-3 < found.row(lr="script", init="xavier_uniform").mean
    assert [len(trial.curve) for trial in found.trials] == [40, 40]
    assert told == ["2 combinations x 1 seeds, 40 steps each"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sweep", "train.py"]


def test_a_run_that_is_killed_is_a_failed_trial(script):
    (trial,) = sweep_script(script, ["dies"], ["lr=0.5"], seeds=1, steps=40, jobs=1).trials
    assert trial.loss == math.inf
    assert trial.told.startswith("it ended with exit code -9")


def test_values_become_changes_and_one_leaves_the_script_alone():
    point = (("lr", 0.1), ("init", "script"), ("clip", 1.0))
    found = Script("train.py", always=(Change.of("train-mode"),)).changes(Task(point, 0, 10))
    assert [change.request() for change in found] == [
        {"name": "set-learning-rate", "params": {"rate": 0.1}},
        {"name": "clip-gradients", "params": {"norm": 1.0}},
        {"name": "train-mode", "params": {}},
    ]


def test_every_axis_is_an_intervention_with_that_parameter():
    import inspect

    from gainstage.interventions import INTERVENTIONS

    for name, key, what in AXES.values():
        assert key in inspect.signature(INTERVENTIONS[name]).parameters
        assert what


@pytest.mark.parametrize(
    ("space", "error", "told"),
    [
        ({"rate": [1]}, UsageError, "A script has no axis 'rate'. There are: lr "),
        ({"inti": ["a"]}, UsageError, "Did you mean 'init'?"),
        ({"init": ["kaiming_norml"]}, UnknownNameError, "Did you mean 'kaiming_normal'"),
        ({"lr": ["high"]}, UsageError, "lr=high is no number above 0"),
        ({"lr": [0.0]}, UsageError, "lr=0.0 is no number above 0"),
        ({"clip": [True]}, UsageError, "clip=True is no number above 0"),
    ],
)
def test_what_a_script_does_not_have_is_refused(space, error, told):
    with pytest.raises(error, match=told):
        check_axes(axes_of(space))


def test_script_leaves_any_axis_as_it_is():
    check_axes([axis(name, "script") for name in AXES])


def test_a_script_that_is_missing_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScriptError, match=r"There is no script 'train\.py'"):
        sweep_script("train.py", (), ["lr=0.1"])
    assert list(tmp_path.iterdir()) == []
