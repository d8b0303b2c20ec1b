"""Dead and saturated units over a window of steps, and the features of inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from gainstage.probe.units import (
    WINDOW,
    UnitWatch,
    by_unit,
    feature_numbers,
    own_axis,
    sample,
    unit_axis,
)


def see(units, turn, *rows):
    x = np.array(rows, dtype=np.float32)
    return dict(units.see(x, (len(rows), len(rows[0]), 1), turn))


@pytest.fixture(params=[True, False], ids=["exact", "sampled"])
def units(request):
    return lambda n, op="relu": UnitWatch(n, op, exact=request.param)


def test_a_unit_is_dead_when_it_was_silent_over_the_whole_window():
    exact = UnitWatch(4, "relu", exact=True)
    assert see(exact, 0, [1, 0, 0, 0])["dead_units"] == 0.75
    assert see(exact, 1, [0, 1, 0, 0])["dead_units"] == 0.5
    for turn in range(2, WINDOW):
        assert see(exact, turn, [0, 0, 0, 0])["dead_units"] == 0.5
    assert see(exact, WINDOW, [0, 0, 0, 0])["dead_units"] == 0.75
    assert see(exact, WINDOW + 1, [0, 0, 0, 0])["dead_units"] == 1.0
    assert see(exact, WINDOW + 2, [1, 1, 1, 1])["dead_units"] == 0.0


def test_a_unit_that_falls_silent_is_found_dead_within_two_windows(units):
    watched = units(3)
    see(watched, 0, [1, 1, 1])
    shares = [see(watched, turn, [1, 0, 1])["dead_units"] for turn in range(1, 2 * WINDOW)]
    assert shares[: WINDOW - 2] == [0.0] * (WINDOW - 2)
    assert shares[-1] == pytest.approx(1 / 3)


def test_a_unit_that_fires_once_in_a_window_never_counts_as_dead_when_all_is_looked_at():
    exact = UnitWatch(2, "relu", exact=True)
    for turn in range(5 * WINDOW):
        firing = float(turn % (WINDOW - 1) == 0)
        assert see(exact, turn, [firing, 1.0])["dead_units"] == 0.0


def test_one_sample_that_fires_is_enough(units):
    x = np.zeros((200, 5), dtype=np.float32)
    x[137, :4] = 1.0
    assert see(units(5), 0, *x.tolist())["dead_units"] == pytest.approx(0.2)


def test_a_nan_counts_as_alive(units):
    assert see(units(2), 0, [math.nan, 0.0])["dead_units"] == 0.5


def test_positions_of_a_channel_belong_together(units):
    x = np.zeros((2, 3, 4), dtype=np.float32)
    x[1, 2, 3] = 1.0
    assert units(3).see(x, (2, 3, 4), 0)["dead_units"] == pytest.approx(2 / 3)


def test_saturated_units_are_those_never_in_range(units):
    assert "saturated_units" not in see(units(2), 0, [1.0, 1.0])
    watched = units(2, "tanh")
    assert see(watched, 0, [0.5, 0.99])["saturated_units"] == 0.5
    found = see(watched, 4, [0.99, 0.5], [0.99, 0.99])
    assert found["saturated_units"] == 0.0


def test_the_share_of_saturated_elements_is_that_of_this_turn():
    exact = UnitWatch(2, "tanh", exact=True)
    assert see(exact, 0, [0.5, 0.99])["saturated"] == 0.5
    assert see(exact, 1, [0.99, 0.5], [0.99, 0.99])["saturated"] == 0.75


@pytest.mark.parametrize(
    ("op", "outside"), [("tanh", [0.98, -0.98]), ("sigmoid", [0.02, 0.98]), ("relu", [])]
)
def test_the_range_of_each_activation(units, op, outside):
    found = see(units(len(outside) + 2, op), 0, [*outside, 0.5, 0.96])
    if op == "relu":
        assert found.keys() == {"dead_units"}
    else:
        assert found["saturated_units"] == 0.5


elements = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4)),
    elements=st.sampled_from([0.0, -0.0, 0.5, 0.98, -0.98, np.nan, np.inf]),
)


@settings(deadline=None, max_examples=80)
@given(elements, st.integers(0, 100))
def test_units_are_told_apart_as_numpy_does(x, turn):
    for exact in (True, False):
        found = UnitWatch(x.shape[1], "tanh", exact=exact).see(x, x.shape, turn)
        alive = (x != 0).any(axis=(0, 2))
        inside = (x >= -0.97) & (x <= 0.97)
        assert found["dead_units"] == pytest.approx(1 - alive.mean())
        assert found["saturated_units"] == pytest.approx(1 - inside.any(axis=(0, 2)).mean())
        if exact:
            assert found["saturated"] == pytest.approx(((x < -0.97) | (x > 0.97)).mean())


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


class OwnNorm(nn.LayerNorm):
    pass


AXES = {
    "rows": ((5, 3), None, 1),
    "a sequence": ((5, 7, 3), None, 2),
    "images": ((5, 3, 4, 4), None, 1),
    "1-d convolution": ((5, 3, 9), nn.Conv1d(1, 3, 1), 1),
    "1-d norm": ((5, 3, 9), nn.BatchNorm1d(3), 1),
    "rows of a grid": ((5, 4, 4, 3), nn.Linear(2, 3), 3),
    "a grid of tokens": ((5, 4, 4, 3), nn.Embedding(2, 3), 3),
    "a norm of features": ((5, 4, 4, 3), nn.LayerNorm(3), 3),
    "a norm of somebody's own, which may turn images": ((5, 3, 4, 4), OwnNorm(3), 1),
    "a vector": ((5,), None, None),
    "a scalar": ((), None, None),
}


@pytest.mark.parametrize("kind", AXES)
def test_the_axis_of_the_units(kind):
    shape, module, axis = AXES[kind]
    assert unit_axis(shape, own_axis(module, "")) == axis


@pytest.mark.parametrize(("op", "axis"), [("linear", 3), ("conv", 1), ("relu", 1)])
def test_the_axis_of_functional_calls(op, axis):
    assert unit_axis((2, 3, 4, 5), own_axis(None, op)) == axis


@pytest.mark.parametrize("shape", [(4, 16), (4, 3, 16), (4, 3, 3, 16)])
def test_dead_units_are_found_whatever_the_number_of_axes(watching, shape):
    net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    with torch.no_grad():
        net[0].bias[:8], net[0].bias[8:] = -100.0, 100.0
    with watching(net, torch.optim.SGD(net.parameters(), lr=0.0)) as seen:
        net(torch.rand(shape)).mean().backward()
    assert seen.site("1", "output").unit_axis == len(shape) - 1
    assert seen.values("1", "output", "dead_units") == [0.5]


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
