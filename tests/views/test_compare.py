from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from gainstage.recording import MemoryRecording
from gainstage.records import RunInfo, Site
from gainstage.views.compare import compare_runs

RUN = Site(0, "run", "run", "run", "", 0)


def made(loss, steps=None, **stages):
    """A run with this loss, and for each stage its output's rms."""
    sites, values = [RUN], {(0, "loss"): loss}
    for order, (name, rms) in enumerate(stages.items()):
        sites.append(Site(len(sites), name, "output", name, "Linear", order))
        values[len(sites) - 1, "rms"] = [rms] * len(loss)
    return MemoryRecording(sites, values, steps=steps)


def test_losses_are_held_against_each_other_where_both_have_one():
    told = compare_runs(made([3.0, 2.0, 1.0]), made([3.0, np.nan, 0.5, 0.25]))
    assert told.steps == (0, 1, 2, 3)
    assert told.losses == ((3.0, 2.0, 1.0, None), (3.0, None, 0.5, 0.25))
    assert told.difference == (0.0, None, -0.5, None)
    assert told.last == (1.0, 0.25)
    assert told.counts == (3, 4)


def test_other_steps_meet_on_one_axis():
    told = compare_runs(made([4.0, 2.0], steps=[0, 10]), made([1.0, 3.0], steps=[5, 10]))
    assert told.steps == (0, 5, 10)
    assert told.difference == (None, None, 1.0)


def test_a_long_run_is_averaged():
    told = compare_runs(made(np.arange(1000.0)), made(np.arange(1000.0) + 1), limit=100)
    assert len(told.steps) == 100
    assert told.losses[0][0] == pytest.approx(4.5)
    assert set(told.difference) == {1.0}


def test_an_infinite_loss_is_left_out():
    told = compare_runs(made([2.0, np.inf]), made([2.0, 1.0]))
    assert told.losses[0] == (2.0, None)
    assert told.last == (2.0, 1.0)


def test_stages_are_matched_by_name():
    told = compare_runs(made([1.0], a=1.0, b=0.1), made([1.0], c=1.0, b=0.0))
    assert [(s.name, s.forward) for s in told.stages] == [
        ("a", (0.0, None)), ("b", (-20.0, None)), ("c", (None, 0.0)),
    ]  # fmt: skip
    assert told.only == (1, 1)


def test_facts_that_are_the_same_are_not_told():
    runs = [
        MemoryRecording([RUN], {(0, "loss"): [1.0]}, info=RunInfo("x", 0.0, "a.py", args, facts=f))
        for args, f in (((), {"lr": 0.1, "loss": "mse"}), (("-v",), {"lr": 0.2, "loss": "mse"}))
    ]
    assert compare_runs(*runs).facts == (("arguments", "", "-v"), ("lr", "0.1", "0.2"))


@pytest.mark.parametrize("which", ["vanishing", "hostile", "handmade", "empty"])
def test_a_comparison_is_plain_data(recordings, which):
    made = getattr(recordings, which)()
    run = made[0] if isinstance(made, tuple) else made
    for pair in ((run, recordings.handmade()), (run, run), (recordings.empty(), run)):
        json.dumps(msgspec.to_builtins(compare_runs(*pair), str_keys=True), allow_nan=False)
