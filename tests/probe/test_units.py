"""Dead and saturated units over a window of steps, and the features of inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from gainstage.probe.units import (
    WINDOW,
    UnitMarks,
    UnitWindow,
    by_unit,
    feature_numbers,
    sample,
    unit_axis,
)


def marks(*alive, loose=None):
    loose = None if loose is None else np.array(loose, dtype=np.uint8)
    return UnitMarks(np.array(alive, dtype=np.uint8), loose, 1, 4)


def test_a_unit_is_dead_when_it_was_silent_over_the_whole_window():
    window = UnitWindow()
    assert window.see(0, marks(1, 0, 0, 0))["dead_units"] == 0.75
    assert window.see(1, marks(0, 1, 0, 0))["dead_units"] == 0.5
    for step in range(2, WINDOW):
        assert window.see(step, marks(0, 0, 0, 0))["dead_units"] == 0.5
    assert window.see(WINDOW, marks(0, 0, 0, 0))["dead_units"] == 0.75
    assert window.see(WINDOW + 1, marks(0, 0, 0, 0))["dead_units"] == 1.0
    assert window.see(WINDOW + 2, marks(1, 1, 1, 1))["dead_units"] == 0.0


def test_micro_batches_of_one_step_are_one_entry_of_the_window():
    window = UnitWindow()
    window.see(0, marks(1, 0))
    for _ in range(2 * WINDOW):
        found = window.see(1, marks(0, 0))
    assert found["dead_units"] == 0.5


def test_a_change_of_width_begins_a_new_window():
    window = UnitWindow()
    window.see(0, marks(0, 0))
    assert window.see(1, marks(1, 1, 0))["dead_units"] == pytest.approx(1 / 3)


def test_saturated_units_are_those_never_in_range():
    window = UnitWindow()
    assert "saturated_units" not in window.see(0, marks(1, 1))
    window = UnitWindow()
    assert window.see(0, marks(1, 1, loose=[1, 0]))["saturated_units"] == 0.5
    found = window.see(1, marks(1, 1, loose=[0, 1]))
    assert found["saturated_units"] == 0.0
    assert found["saturated"] == 0.25


@pytest.mark.parametrize(
    ("op", "outside"), [("tanh", [0.98, -0.98]), ("sigmoid", [0.02, 0.98]), ("relu", [])]
)
def test_the_range_of_each_activation(op, outside):
    x = np.array([[*outside, 0.5, 0.96]], dtype=np.float32)[..., None]
    found = UnitMarks.of(x, op)
    assert found.outside == len(outside)
    assert (found.loose is None) is (op == "relu")
    if found.loose is not None:
        assert found.loose.tolist() == [0, 0, 1, 1]


def test_a_dying_rectifier_is_seen_in_training(watching):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.copy_(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with watching(net, optimizer) as seen:
        for _ in range(3):
            net(torch.randn(5, 3)).sum().backward()
            optimizer.step()
    assert seen.values("1", "output", "dead_units") == [0.5] * 3
    assert seen.values("1", "output", "zero_share") == [0.5] * 3
    assert seen.values("0", "output", "dead_units") == [0.0] * 3


def test_saturation_is_seen_in_training(watching):
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.copy_(torch.tensor([5.0, 0.1]))
    with watching(net, torch.optim.SGD(net.parameters(), lr=0.1)) as seen:
        net(torch.randn(5, 2)).sum().backward()
    assert seen.values("1", "output", "saturated") == [0.5]
    assert seen.values("1", "output", "saturated_units") == [0.5]
    assert math.isnan(seen.values("0", "output", "saturated")[0])


AXES = {
    "rows": ((5, 3), None, 1),
    "a sequence": ((5, 7, 3), None, 2),
    "images": ((5, 3, 4, 4), None, 1),
    "1-d convolution": ((5, 3, 9), nn.Conv1d(1, 3, 1), 1),
    "1-d norm": ((5, 3, 9), nn.BatchNorm1d(3), 1),
    "a vector": ((5,), None, None),
    "a scalar": ((), None, None),
}


@pytest.mark.parametrize("kind", AXES)
def test_the_axis_of_the_units(kind):
    shape, module, axis = AXES[kind]
    assert unit_axis(torch.zeros(shape), module) == axis


@pytest.mark.parametrize("axis", [1, 3])
def test_elements_by_unit_keep_their_unit(axis):
    x = torch.arange(120.0).reshape(2, 3, 4, 5)
    found = by_unit(x, axis)
    assert found.shape == ((2, 3, 20) if axis == 1 else (24, 5, 1))
    for unit in range(found.shape[1]):
        expected = x.movedim(axis, 1)[:, unit] if axis == 1 else x[..., unit]
        assert set(found[:, unit].reshape(-1).tolist()) == set(expected.reshape(-1).tolist())


def test_features_of_common_scale_and_of_one():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((500, 4, 1)).astype(np.float32)
    found = feature_numbers(x)
    assert found["feature_spread"] == pytest.approx(1, abs=0.2)
    assert found["feature_offset"] < 0.1
    found = feature_numbers(x * np.array([1, 1, 1, 100], np.float32)[None, :, None] + 50)
    assert found["feature_spread"] > 50
    assert found["feature_offset"] > 20


def test_features_that_say_nothing():
    assert feature_numbers(np.ones((5, 3, 1), np.float32)) == {}
    assert feature_numbers(np.ones((1, 3, 1), np.float32)) == {}
    bad = np.full((4, 2, 1), np.nan, np.float32)
    bad[:, 0, 0] = [1, 2, 3, 4]
    assert feature_numbers(bad)["feature_spread"] == 1.0


@pytest.mark.parametrize("n", [1, 4095, 4096, 4097, 8193, 100_000])
def test_a_sample_is_at_most_its_size_and_a_copy(n):
    x = torch.arange(float(n))
    found = sample(x)
    assert found.numel() == min(n, 4096) or (found.numel() <= 4096 and n // found.numel() >= 1)
    assert found.dtype == torch.float32
    x.zero_()
    assert found[-1] > 0 or n == 1
