"""Which units show themselves, against numpy: turn by turn, with a rest, a limit, and a window."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gainstage.sketch.units import WINDOW, look, share_outside, spreads

ALIVE, LINEAR = (0.0, 0.0), (-0.97, 0.97)
numbers = st.sampled_from([0.0, 0.0, 0.0, -0.0, 0.5, 0.97, 0.98, -0.98, math.nan, math.inf, 1e-45])
shapes = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
layers = shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=numbers))
bounds = st.sampled_from([ALIVE, LINEAR, (0.0, 0.5)])


def see(x, turn, last, *, within=ALIVE, rest=1, limit=0):
    return look(x.ctypes.data, x.shape, within, (turn, rest, limit), last)


def unseen(x):
    return np.full(x.shape[1], -1, dtype=np.int64)


def shows(x, within):
    """By numpy: whether each element does what it should."""
    low, high = within
    wide = x.astype(np.float64)  # the bounds are no float32
    return wide != 0 if within == ALIVE else (low <= wide) & (wide <= high)


@settings(deadline=None)
@given(layers, bounds, st.integers(0, 10**6))
def test_a_unit_is_seen_if_any_of_its_elements_shows_it(x, within, turn):
    last = unseen(x)
    share = see(x, turn, last, within=within)
    seen = shows(x, within).any(axis=(0, 2))
    assert last.tolist() == np.where(seen, turn, -1).tolist()
    assert share == pytest.approx(1 - seen.mean())


@st.composite
def trainings(draw):
    """A layer's outputs at some turns, not all of them next to each other."""
    shape = draw(shapes)
    outputs = draw(st.lists(hnp.arrays(np.float32, shape, elements=numbers), min_size=1))
    return [(draw(st.integers(1, 20)), x) for x in outputs]


@settings(deadline=None)
@given(trainings(), bounds, st.integers(1, WINDOW))
def test_from_turn_to_turn_units_rest_and_fall_out_of_the_window(training, within, rest):
    turn = 0
    last, wanted = unseen(training[0][1]), unseen(training[0][1])
    for pause, x in training:
        turn += pause
        share = see(x, turn, last, within=within, rest=rest)
        seen = shows(x, within).any(axis=(0, 2))
        looked_for = (wanted < 0) | (turn - wanted >= rest)
        wanted[looked_for & seen] = turn
        assert last.tolist() == wanted.tolist()
        assert share == pytest.approx(((wanted < 0) | (turn - wanted >= WINDOW)).mean())


def test_a_unit_counts_as_silent_from_the_end_of_the_window_on():
    x = np.zeros((1, 2, 1), np.float32)
    last = np.array([10, -1])
    assert see(x, 10 + WINDOW - 1, last) == 0.5
    assert see(x, 10 + WINDOW, last) == 1.0


def test_within_its_rest_a_unit_is_not_looked_for():
    x, last = np.ones((1, 1, 1), np.float32), np.array([10])
    see(x, 13, last, rest=4)
    assert last.tolist() == [10]
    see(x, 14, last, rest=4)
    assert last.tolist() == [14]


@settings(deadline=None)
@given(shapes, st.data())
def test_a_limit_ends_the_search_after_the_sample_that_reaches_it(shape, data):
    samples, units, positions = shape
    turn = data.draw(st.integers(0, 10**6))
    limit = data.draw(st.integers(1, 2 * samples * units * positions))
    ahead = data.draw(st.integers(0, samples - 1))
    x = np.zeros(shape, np.float32)
    x[(turn * 7919 + ahead) % samples, -1, -1] = 1.0
    last = unseen(x)
    share = see(x, turn, last, limit=limit)
    reached = math.ceil(limit / (units * positions))
    assert last[-1] == (turn if ahead < reached else -1)
    assert share == pytest.approx(1 - (last >= 0).mean())


@settings(deadline=None)
@given(layers, bounds, st.integers(0, 100), st.integers(1, 200))
def test_with_a_limit_no_unit_is_seen_that_is_not_there(x, within, turn, limit):
    some, everything = unseen(x), unseen(x)
    share = see(x, turn, some, within=within, limit=limit)
    assert share >= see(x, turn, everything, within=within)
    assert (some <= everything).all()
    if limit >= x.size:
        assert some.tolist() == everything.tolist()


@pytest.mark.parametrize("samples", [1, 2, 16, 100])
def test_each_sample_comes_first_at_some_turn(samples):
    x = np.zeros((samples, 1, 1), np.float32)
    x[samples // 2] = 1.0
    found = [see(x, turn, unseen(x), limit=1) for turn in range(samples)]
    assert sorted(found) == [0.0] + [1.0] * (samples - 1)


def test_a_nan_is_alive_and_not_in_the_linear_range():
    x = np.full((1, 1, 1), math.nan, np.float32)
    assert see(x, 0, unseen(x)) == 0.0
    assert see(x, 0, unseen(x), within=LINEAR) == 1.0


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(1, 200), elements=numbers | st.floats(-2, 2, width=32)),
    st.tuples(st.floats(-2, 0), st.floats(0, 2)),
)
def test_the_share_outside_is_that_of_numpy(x, within):
    low, high = within
    wide = x.astype(np.float64)
    expected = ((wide < low) | (wide > high)).mean()
    assert share_outside(x.ctypes.data, x.size, within) == pytest.approx(expected)


def test_the_bounds_themselves_and_nan_are_not_outside():
    x = np.array([-0.5, 0.5, math.nan, math.inf], np.float32)
    assert share_outside(x.ctypes.data, 4, (-0.5, 0.5)) == 0.25


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(-1e3, 1e3), st.integers(0, 2**32 - 1))
def test_spreads_are_those_of_numpy(rows, columns, offset, seed):
    x = (np.random.default_rng(seed).normal(size=(rows, columns)) + offset).astype(np.float32)
    part = x[:5, :6].astype(np.float64)
    found = spreads(x.ctypes.data, x.shape, (5, 6))
    size = np.abs(part).max()
    wanted = (np.square(part).mean(), part.var(axis=0).mean(), part.var(axis=1).mean())
    assert np.square(found) == pytest.approx(wanted, rel=1e-9, abs=1e-12 * size**2)
