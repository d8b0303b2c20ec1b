"""The sink in memory keeps what it is given."""

from __future__ import annotations

import math

import numpy as np

from gainstage.probe.sink import MemorySink
from gainstage.records import Event, Frame, Series, Site
from gainstage.sketch import Histogram


def test_what_was_kept_is_a_recording():
    sink = MemorySink()
    first, second = Site(0, "run", "run", "", "", 0), Site(1, "a", "output", "a", "", 0)
    sink.add([first], [Series(0, 0, "loss")])
    sink.write_frames([Frame(0, np.array([2.0]), 0.1)])
    sink.add([second], [Series(1, 1, "rms")])
    sink.write_frames([Frame(3, np.array([1.0, 5.0]), 0.2), Frame(4, np.array([0.5, 1e300]), 0.3)])
    for step in (3, 4):
        sink.add_histogram(1, step, Histogram.of(np.ones(4, np.float32)))
    sink.add_event(Event(3, "stopped"))
    recording = sink.recording()
    assert recording.steps.tolist() == [0, 3, 4]
    assert recording.run_values("loss").tolist() == [2.0, 1.0, 0.5]
    rms = recording.values(second, "rms").tolist()
    assert math.isnan(rms[0])
    assert rms[1:] == [5.0, math.inf]
    assert recording.histogram(second).total == 8
    assert [event.code for event in recording.events] == ["stopped"]
