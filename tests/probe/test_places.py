"""Stages and their calls: names, units' axes, hooks that copies do not keep."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from gainstage.probe.guard import Guard
from gainstage.probe.places import Chart, Entry, Place
from gainstage.probe.recorder import Recorder
from gainstage.probe.sink import MemorySink


class Listener:
    def __init__(self):
        self.in_backward = True
        self.guard = Guard(lambda *_: None)
        self.found = []

    def measure_gradient(self, entry, grad):
        self.found.append((entry, grad))


def _entry(name="a", listener=None, shape=(4, 3)):
    entry = Entry(listener or Listener(), Place(lambda: name, "Linear"))
    entry.shape = shape
    return entry


def test_calls_of_a_stage_are_told_apart_by_number():
    place = Place(lambda: "layer", "Linear")
    assert [place.name(call) for call in (1, 2, 3)] == ["layer", "layer#2", "layer#3"]


@pytest.mark.parametrize(
    ("module", "shape", "axis"),
    [
        (None, (4, 3), 1),
        (None, (4, 5, 3), 2),
        (nn.Conv1d(1, 1, 1), (4, 5, 3), 1),
        (nn.Linear(1, 3), (4, 5, 5, 3), 3),
        (None, (4,), None),
    ],
)
def test_units_are_numbered_by_the_axis_that_the_module_says(module, shape, axis):
    assert Place(lambda: "a", "op", module).axis(shape, None) == axis


def test_an_activation_has_the_axis_of_what_it_is_applied_to():
    before = _entry(shape=(4, 5, 3))
    before.axis = 1
    assert Place(lambda: "b", "relu").axis((4, 5, 3), before) == 1
    assert Place(lambda: "b", "relu").axis((4, 6, 3), before) == 2
    before.shape, before.axis = (4, 5, 5, 3), 3
    assert Place(lambda: "b", "relu").axis((4, 5, 5, 3), before) == 3
    assert Place(lambda: "b", "Conv2d", nn.Conv2d(1, 5, 1)).axis((4, 5, 5, 3), before) == 1


def test_the_gradient_of_the_right_output_arrives_and_only_in_a_backward():
    listener = Listener()
    entry = _entry(listener=listener)
    entry.output_number = 1
    one, two = torch.ones(1), torch.zeros(1)
    entry([one, two])
    entry([one, None])
    listener.in_backward = False
    entry([one, two])
    assert [(e is entry, g is two) for e, g in listener.found] == [(True, True)]


def test_a_copied_entry_is_silent():
    entry = _entry()
    assert copy.deepcopy(entry)([torch.ones(1)]) is None
    assert pickle.loads(pickle.dumps(entry))(torch.ones(1)) is None  # noqa: S301 - our own
    assert entry.listener.found == []


def test_a_chart_gives_each_call_its_sites():
    recorder = Recorder(MemorySink())
    entries = [_entry("a"), _entry("b"), _entry("a")]
    chart = Chart.of(entries, entries[1:], recorder)
    assert chart.calls == [1, 1, 2]
    by_id = {site.id: (site.name, site.kind) for site in recorder.sink.sites}
    assert [by_id[i] for i in chart.ids.tolist()] == [
        ("a", "output"),
        ("b", "output"),
        ("a#2", "output"),
        ("b", "output_grad"),
        ("a#2", "output_grad"),
    ]
