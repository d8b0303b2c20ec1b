"""Frames: columns, merging, what a row says of what was not measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gainstage.probe.recorder import Recorder
from gainstage.probe.sink import MemorySink
from gainstage.quantities import QUANTITIES, SUMMARY_KEYS


@pytest.fixture
def recorder():
    return Recorder(MemorySink())


def test_the_run_is_the_first_site(recorder):
    (run,) = recorder.sink.sites
    assert (run.id, run.kind, run.name) == (0, "run", "run")


def test_the_summary_of_a_site_comes_first_and_in_order(recorder):
    site = recorder.site("a", "output", layer="a", op="Linear")
    keys = [s.quantity for s in recorder.sink.series if s.site == site.id]
    assert tuple(keys[: len(SUMMARY_KEYS)]) == SUMMARY_KEYS
    assert set(keys) == {q.key for q in QUANTITIES.values() if "output" in q.kinds}
    assert [s.id for s in recorder.sink.series] == list(range(len(recorder.sink.series)))


def test_a_site_is_made_once(recorder):
    a = recorder.site("a", "output", layer="a", op="Linear", shape=(1, 2))
    assert recorder.site("a", "output", layer="x", op="y") is a
    assert recorder.site("a", "output_grad", layer="a", op="Linear").order == a.order
    assert recorder.site("b", "output", layer="b", op="Linear").order == a.order + 1


def test_merging_adds_and_setting_replaces(recorder):
    merged = recorder.site("m", "output", layer="m", op="")
    replaced = recorder.site("s", "weight", layer="s", op="")
    for value in (1.0, 3.0):
        recorder.read(torch.tensor([value]), merged)
        recorder.read(torch.tensor([value]), replaced, anew=True)
    recorder.commit(0.0)
    found = recorder.sink.recording()
    assert found.values(merged, "count").tolist() == [2.0]
    assert found.values(merged, "mean").tolist() == [2.0]
    assert found.values(replaced, "mean").tolist() == [3.0]
    assert found.histogram(merged).total == 2


def test_what_a_step_did_not_measure_is_nan(recorder):
    site = recorder.site("a", "grad", layer="a", op="")
    recorder.put(site, {"cosine": 0.5})
    recorder.put_run(lr=0.1)
    recorder.commit(0.25)
    recorder.commit(0.0)
    found = recorder.sink.recording()
    assert found.values(site, "cosine").tolist() == [0.5, pytest.approx(math.nan, nan_ok=True)]
    assert np.isnan(found.values(site, "rms")).all()
    assert found.run_values("probe_seconds").tolist() == [0.25, 0.0]
    assert (found.run_values("seconds") >= 0).all()


def test_run_numbers_add_or_are_put(recorder):
    for _ in range(3):
        recorder.add_run(loss=0.5)
        recorder.put_run(lr=0.5)
    recorder.commit(0.0)
    found = recorder.sink.recording()
    assert (found.run_values("loss"), found.run_values("lr")) == (1.5, 0.5)


def test_of_several_run_numbers_the_one_that_counts_is_chosen_and_never_a_nan(recorder):
    for value in (math.nan, 2.0, 3.0, math.nan):
        recorder.fold_run(max, weight_decay=value)
        recorder.fold_run(min, lr=value)
    recorder.fold_run(min, kept_grad=math.nan)
    recorder.commit(0.0)
    found = recorder.sink.recording()
    assert (found.run_values("weight_decay"), found.run_values("lr")) == (3.0, 2.0)
    assert np.isnan(found.run_values("kept_grad"))


def test_rows_grow_with_the_sites(recorder):
    recorder.commit(0.0)
    site = recorder.site("late", "output", layer="late", op="")
    recorder.read(torch.ones(3), site)
    recorder.commit(0.0)
    assert len(recorder.sink.rows[0]) < len(recorder.sink.rows[1])
    assert recorder.sink.recording().values(site, "count").tolist() == [
        pytest.approx(math.nan, nan_ok=True),
        3.0,
    ]


def test_a_tensor_without_values_leaves_no_numbers(recorder):
    site = recorder.site("m", "output", layer="m", op="")
    recorder.read(torch.ones(3, device="meta"), site)
    recorder.commit(0.0)
    assert np.isnan(recorder.sink.recording().values(site, "count")).all()


def test_a_number_beyond_float32_reads_as_infinite_without_a_warning(recorder):
    site = recorder.site("w", "weight", layer="w", op="")
    recorder.read(torch.tensor([1e300], dtype=torch.float64), site)
    recorder.put_run(loss=1e300)
    recorder.commit(0.0)
    found = recorder.sink.recording()
    assert found.values(site, "rms").tolist() == found.run_values("loss").tolist() == [math.inf]


def test_pending_tells_whether_a_frame_would_say_anything(recorder):
    assert not recorder.pending
    recorder.put_run(lr=1.0)
    assert recorder.pending
    recorder.commit(0.0)
    assert not recorder.pending
    assert recorder.step == 1


def test_events_carry_the_step(recorder):
    recorder.commit(0.0)
    recorder.event("stopped", "a", why="limit")
    (event,) = recorder.sink.events
    assert (event.step, event.code, event.site, event.data) == (1, "stopped", "a", {"why": "limit"})
