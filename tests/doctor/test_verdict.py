"""What the verdict says of a recording: its numbers, its exit code, its JSON."""

import json

import numpy as np
import pytest

from gainstage.doctor import verdict
from gainstage.recording import MemoryRecording
from gainstage.records import Finding, RunInfo, Site

RUN = Site(0, "run", "run", "", "", 0)


def recording(loss, chance=(), **info):
    values = {(0, "loss"): loss}
    if chance:
        values[0, "chance_loss"] = chance
    return MemoryRecording([RUN], values, info=RunInfo(id="a", started=0.0, **info))


def finding(severity, **evidence):
    return Finding("dead-units", severity, 0.9, "relu", 3, "Dead.", evidence=evidence, rank=1)


@pytest.mark.parametrize(
    ("severities", "problem", "code"),
    [
        ([], "", 0),
        (["info"], "", 0),
        (["warning"], "", 1),
        (["info", "error"], "", 1),
        ([], "It failed.", 2),
        (["error"], "It failed.", 2),
    ],
)
def test_the_exit_code_follows_from_findings_and_problem(severities, problem, code):
    found = tuple(map(finding, severities))
    assert verdict(recording([1.0]), found, problem=problem).exit_code == code


def test_what_was_never_trained_is_not_healthy():
    assert not verdict(recording([]), ()).healthy


def test_the_loss_is_first_last_and_what_chance_would_give():
    told = verdict(recording([np.nan, 2.5, 2.0, np.nan], chance=[2.3, 2.3, np.nan, np.nan]), ())
    assert told.loss == {"first": 2.5, "last": 2.0, "expected_initial": 2.3}
    assert told.steps == 4


@pytest.mark.parametrize("loss", [[], [np.nan], [np.inf, -np.inf]])
def test_a_loss_that_is_no_number_is_null(loss):
    told = json.loads(verdict(recording(loss), ()).to_json())
    assert told["loss"] == {"first": None, "last": None, "expected_initial": None}


def test_evidence_that_is_no_number_is_null_in_json():
    found = finding("error", rms=float("nan"), peak=float("inf"), low=-float("inf"), share=0.5)
    told = json.loads(verdict(recording([1.0]), (found,)).to_json())
    evidence = told["findings"][0]["evidence"]
    assert evidence == {"rms": None, "peak": None, "low": None, "share": 0.5}


def test_the_overhead_is_the_share_of_the_rest():
    assert verdict(recording([1.0], seconds=11.0, probe_seconds=1.0), ()).overhead == 0.1
    assert verdict(recording([1.0], seconds=0.0, probe_seconds=0.0), ()).overhead == 0.0


def test_numbers_of_numpy_in_the_evidence_are_numbers_in_the_json():
    given = {"share": np.float64(0.5), "count": np.int64(3), "all": np.array([1.0, 2.0])}
    told = json.loads(verdict(recording([1.0]), (finding("error", **given),)).to_json())
    assert told["findings"][0]["evidence"] == {"share": 0.5, "count": 3, "all": [1.0, 2.0]}
