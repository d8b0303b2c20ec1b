"""A stored run handed on is what the live watch would have handed on."""

from __future__ import annotations

import pytest

import gainstage as gs


def test_every_number_is_that_of_the_live_watch(stored, catch):
    run, live = stored
    again = catch()
    assert run.send(gs.sinks.choose(again, "*")) == 20
    for name in live.names:
        assert again.series(name) == live.series(name), name
    assert again.names == live.names
    for reading, other in zip(again[:20], live[:20], strict=True):
        assert (reading.step, reading.run.id) == (other.step, other.run.id)
        assert reading.time == pytest.approx(other.time, abs=1e-6)


def test_histograms_of_single_steps_are_those_of_the_live_watch(stored, catch):
    run, live = stored
    again = catch()
    run.send(again)
    name = "histogram/output/0"
    mine, theirs = again.shapes(name), live.shapes(name)
    assert list(mine) == list(theirs)
    for step, shape in mine.items():
        assert shape.counts.tolist() == theirs[step].counts.tolist()


def test_windows_of_a_longer_run_lose_no_element(catch, trained, tmp_path):
    live, again = catch(), catch()
    run = gs.open(trained(tmp_path, [live], steps=1300).path)
    run.send(gs.sinks.choose(again, "histogram/*"))
    name = "histogram/weight/0.weight"
    total = sum(shape.total for shape in live.shapes(name).values())
    assert sum(shape.total for shape in again.shapes(name).values()) == total
    part = catch()
    run.send(gs.sinks.choose(part, "histogram/*", every=3))
    assert part.shapes(name)
    assert all(step % 3 == 0 for step in part.shapes(name))


def test_findings_come_last(stored, catch):
    run, _ = stored
    again = catch()
    run.send(gs.sinks.choose(again, "run/loss", every=7))
    *steps, told, last = again
    assert [reading.step for reading in steps] == [0, 7, 14]
    assert told.findings == tuple(run.diagnose())
    assert last.last


def test_a_run_without_steps_is_handed_on(catch, trained, tmp_path):
    again = catch()
    run = gs.open(trained(tmp_path, steps=0).path)
    assert run.send(again) == 0
    assert [reading.last for reading in again] == [False, True]
