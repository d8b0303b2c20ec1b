"""Whom trials are offered to, and what is said of their cost."""

from pathlib import Path

import pytest

from gainstage.doctor import Effort, Observation, Treatment
from gainstage.doctor.candidates import Candidate, Change
from gainstage.doctor.treatment import _written
from gainstage.recording import MemoryRecording
from gainstage.records import Finding, RunInfo, Site

RUN = Site(0, "run", "run", "", "", 0)
SICK = Finding("learning-rate-too-high", "error", 0.9, "", 0, "", rank=1)
WARNING = Finding("saturated-units", "warning", 0.5, "", 0, "", rank=1)


class Timed(MemoryRecording):
    """A recording whose first step ended half a second after its start."""

    times = (0.5,)


class Workplace:
    """One that copies nothing."""

    def __init__(self, told="", linked=(), changed=()):
        self.told = told
        self.linked = linked
        self.changed = changed
        self.settled = []

    def written(self):
        return self.changed

    def holds(self, file):
        return file.endswith(".py") and not self.told

    def settle(self, first_step):
        self.settled.append(first_step)


def treatment(findings=(SICK,), status="finished", steps=20, end=2.0, place=None, **effort):
    info = RunInfo(id="a", started=0.0, status=status)
    loss = [2.0, *[end] * (steps - 1)] if steps else []
    run = Timed([RUN], {(0, "loss"): loss, (0, "lr"): [1.0] * steps}, info=info)
    seen = Observation(0, Path("a.gs"), run, seconds=10.0)
    return Treatment(seen, findings, workplace=place or Workplace(), effort=Effort(**effort))


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_what_ended_is_treated(status):
    assert "Trying 3" in treatment(status=status).cost


@pytest.mark.parametrize(
    "given",
    [
        {"findings": ()},
        {"findings": (Finding("loss-not-decreasing", "error", 0.9, "", 0, "", rank=1),)},
        {"status": "interrupted"},
        {"status": "running"},  # killed
        {"steps": 0},
    ],
)
def test_where_there_is_nothing_to_try_nothing_is_run(given):
    none = treatment(**given)
    assert none.cost == ""
    assert none.remedies() == ()


def test_one_rank_of_many_tries_nothing(monkeypatch):
    for key, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert treatment().cost == ""


def test_the_cost_is_that_of_the_runs_shared_out():
    told = treatment(most=2, seeds=3, jobs=5).cost
    # two tried, two seeds more of the unchanged, three of the control, two or four of the tried
    assert "9 to 11 runs" in told
    assert "5 at a time, about 18 to 22 s; up to 9 more if none of them helps" in told
    assert "learning rate x 0.1" in told


def test_one_remedy_has_one_cost():
    told = treatment((Finding("gradients-not-zeroed", "error", 0.9, "", 0, "", rank=1),)).cost
    assert "That takes 5 runs" in told


def test_a_warning_is_treated_whether_the_training_learns_or_not():
    assert "Trying" in treatment((WARNING,)).cost
    assert "Trying" in treatment((WARNING,), end=0.1).cost


def test_what_is_written_where_is_said_before_trials_begin():
    assert "a copy of the working directory as it was found" in treatment().cost
    told = treatment(place=Workplace("it is too large")).cost
    assert "Each repeats all that the script does" in told
    assert told.endswith("in place: it is too large.")


@pytest.mark.parametrize(
    ("linked", "told"),
    [
        ((), "beside it (../), each writes again."),
        (("data",), "each writes again. Too large to copy, and written to again as well: 'data'."),
        (("a", "b"), "written to again as well: 'a' and 'b'."),
        (("a", "b", "c", "d"), "written to again as well: 'a', 'b' and 2 others."),
    ],
)
def test_what_trials_may_overwrite_is_named_before_they_begin(linked, told):
    assert treatment(place=Workplace(linked=linked)).cost.endswith(told)


def test_what_trials_may_have_overwritten_is_told():
    assert treatment().warning == ""
    told = treatment(place=Workplace(linked=("data", "x"), changed=("data",))).warning
    assert told == "While trials ran, 'data', too large to copy, was written to."


def test_without_a_workplace_there_are_no_trials():
    seen = Observation(0, Path("a.gs"), Timed([RUN], {(0, "loss"): [2.0] * 9}))
    assert Treatment(seen, (SICK,), workplace=None).cost == ""
    assert Treatment(seen, (SICK,), workplace=None).problem == ""


def test_copies_are_settled_by_the_time_of_the_first_step():
    info = RunInfo(id="a", started=100.0, status="finished")
    run = Timed([RUN], {(0, "loss"): [2.0] * 9}, info=info)
    place = Workplace()
    Treatment(Observation(0, Path("a.gs"), run), (SICK,), workplace=place)
    assert place.settled == [100.5]


@pytest.mark.parametrize(("rate", "optimizers", "told"), [(1.0, 1, 1), (0.04, 1, 0), (1.0, 2, 0)])
def test_a_diff_is_checked_against_the_rate_that_was_recorded(tmp_path, rate, optimizers, told):
    (tmp_path / "a.py").write_text("opt = SGD(model.parameters(), lr=1.0)\n")
    facts = {"made": {"optimizer": f"{tmp_path / 'a.py'}:1"}, "optimizers": ["SGD"] * optimizers}
    info = RunInfo(id="a", started=0.0, status="finished", facts=facts)
    run = Timed([RUN], {(0, "loss"): [2.0] * 20, (0, "lr"): [rate] * 20}, info=info)
    slower = Candidate("slower", (Change.of("scale-learning-rate", factor=0.1),), "Slower.")
    cost = Treatment(Observation(0, tmp_path, run), (SICK,), workplace=Workplace()).cost
    assert ("One is of the script as the diff writes it." in cost) == bool(told)
    one = _written(slower, run, Workplace())
    assert bool(one.diff) == (one.patch is not None) == bool(told)
    assert _written(slower, run, Workplace("in place")).patch is None
