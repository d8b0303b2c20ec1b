"""Recordings in memory: what rules and tests are written against."""

from __future__ import annotations

import numpy as np

from gainstage.recording import MemoryRecording
from gainstage.records import Event, RunInfo, Site
from gainstage.sketch import Histogram

RUN = Site(0, "run", "run", "", "", 0)
LATE = Site(1, "b", "output", "b", "Linear", 2)
EARLY = Site(2, "a", "output", "a", "Linear", 1)
GRAD = Site(3, "a", "output_grad", "a", "Linear", 1)
SITES = [RUN, LATE, EARLY, GRAD]


def test_sites_of_a_kind_come_in_forward_order():
    recording = MemoryRecording(SITES, {})
    assert recording.of_kind("output") == (EARLY, LATE)
    assert recording.of_kind("update") == ()
    assert recording.site("a", "output_grad") is GRAD
    assert recording.site("a", "grad") is None


def test_numbers_are_float32_and_missing_ones_nan():
    recording = MemoryRecording(SITES, {(0, "loss"): [1, 2, 3], (2, "rms"): [0.5, np.nan, 0.25]})
    assert recording.run_values("loss").dtype == np.float32
    assert recording.steps.tolist() == [0, 1, 2]
    assert recording.quantities(EARLY) == ("rms",)
    assert recording.quantities(LATE) == ()
    assert np.isnan(recording.values(LATE, "rms")).tolist() == [True] * 3
    assert np.isnan(recording.run_values("lr")).tolist() == [True] * 3


def test_a_recording_without_a_run_site_answers_nan():
    recording = MemoryRecording([Site(0, "a", "output", "a", "", 0)], {(0, "rms"): [1.0]})
    assert np.isnan(recording.run_values("loss")).tolist() == [True]


def test_steps_may_be_given():
    recording = MemoryRecording([RUN], {(0, "loss"): [1.0, 2.0]}, steps=[10, 20])
    assert recording.steps.tolist() == [10, 20]
    assert recording.steps.dtype == np.int64


def test_an_empty_recording_is_one():
    recording = MemoryRecording([], {})
    assert (len(recording.steps), recording.sites, recording.findings) == (0, (), ())
    assert recording.run_values("loss").shape == (0,)
    assert recording.info.id == "memory"


def test_histograms_are_of_the_whole_run():
    h = Histogram.of(np.ones(3, np.float32))
    recording = MemoryRecording(SITES, {}, histograms={1: h})
    assert recording.histogram(LATE, 5, 6) is h
    assert recording.histogram(EARLY).total == 0


def test_info_and_events_are_handed_through():
    event, info = Event(3, "stopped"), RunInfo(id="x", started=1.0)
    recording = MemoryRecording([], {}, info=info, events=[event])
    assert (recording.info, recording.events) == (info, (event,))


def test_overhead_is_the_share_of_the_rest():
    assert RunInfo("x", 0.0, seconds=10.2, probe_seconds=0.2).overhead == 0.2 / 10
    assert RunInfo("x", 0.0).overhead == 0.0
