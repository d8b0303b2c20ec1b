"""The log-linear histogram: bounded quantiles, addition, storage, and damaged storage."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gainstage.sketch import Histogram
from gainstage.sketch.histogram import BINS, RELATIVE_ERROR

SMALLEST_NORMAL = 2.0**-126

floats = st.floats(width=32, allow_subnormal=True)
arrays = hnp.arrays(np.float32, st.integers(1, 200), elements=floats)
SHARES = [0.0, 0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1.0]


def nearest_rank(values, q):
    """The element at rank ceil(q n), counted from 1."""
    ordered = np.sort(values)
    return ordered[np.clip(np.ceil(np.asarray(q) * values.size), 1, values.size).astype(int) - 1]


def assert_near(found, exact):
    """Within the promised relative error, or 2**-130 for subnormals."""
    normal = np.abs(exact) >= SMALLEST_NORMAL
    bound = np.where(normal, RELATIVE_ERROR * np.abs(exact), 2.0**-129)
    assert (np.abs(found - exact) <= bound).all(), (found, exact)


@settings(deadline=None)
@given(arrays, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_are_within_the_promised_error_of_the_nearest_rank(values, q):
    finite = values[np.isfinite(values)].astype(np.float64)
    found = Histogram.of(values).quantile(q)
    if not finite.size:
        assert np.isnan(found).all()
        return
    assert_near(found, nearest_rank(finite, q))


DISTRIBUTIONS = {
    "normal": lambda g: g.standard_normal(20_000),
    "uniform": lambda g: g.uniform(-1, 1, 20_000),
    "far from zero": lambda g: 1e3 + g.standard_normal(20_000),
    "Cauchy": lambda g: g.standard_cauchy(20_000),
    "log-normal over ten decades": lambda g: np.exp(5 * g.standard_normal(20_000)),
    "tiny gradients": lambda g: 1e-20 * g.standard_normal(20_000),
    "all negative": lambda g: -g.exponential(size=20_000),
    "half zeros": lambda g: np.maximum(g.standard_normal(20_000), 0),
    "two values": lambda g: g.choice([-3.0, 5.0], 20_000),
    "one value": lambda g: np.full(100, 0.3) + 0 * g.random(),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_follow_numpy_on_many_distributions(name):
    values = DISTRIBUTIONS[name](np.random.default_rng(7)).astype(np.float32)
    exact = np.quantile(values.astype(np.float64), SHARES, method="inverted_cdf")
    assert_near(Histogram.of(values).quantile(SHARES), exact)


def test_a_quantile_has_the_shape_of_its_argument():
    h = Histogram.of(np.ones(3, dtype=np.float32))
    assert h.quantile(0.5).shape == ()
    assert h.quantile([[0.1, 0.2]]).shape == (1, 2)
    assert np.isnan(Histogram.empty().quantile([0.1, 0.9])).tolist() == [True, True]


def test_zeros_answer_exactly_zero():
    h = Histogram.of(np.array([0.0, -0.0, 1.0], dtype=np.float32))
    assert h.quantile([0.0, 0.5]).tolist() == [0.0, 0.0]


@settings(deadline=None)
@given(arrays, arrays)
def test_histograms_add_to_that_of_the_concatenation(x, y):
    merged = Histogram.of(x) + Histogram.of(y)
    np.testing.assert_array_equal(merged.counts, Histogram.of(np.concatenate([x, y])).counts)
    assert merged.total == x.size + y.size
    np.testing.assert_array_equal((Histogram.empty() + merged).counts, merged.counts)


def test_adding_changes_neither_summand():
    a = Histogram.of(np.ones(2, dtype=np.float32))
    assert (a + a).total == 4
    assert a.total == 2


@settings(deadline=None)
@given(arrays)
def test_storage_gives_back_the_same_counts(values):
    h = Histogram.of(values)
    np.testing.assert_array_equal(Histogram.from_bytes(h.to_bytes()).counts, h.counts)


def test_the_fullest_histogram_and_the_empty_one_can_be_stored():
    for counts in (np.full(BINS, 2**40), np.zeros(BINS, dtype=np.int64)):
        found = Histogram.from_bytes(Histogram(counts).to_bytes())
        np.testing.assert_array_equal(found.counts, counts)


def _pack(bins, counts):
    head = len(bins).to_bytes(2, "little") + b"\x08"
    return head + np.array(bins, "<u2").tobytes() + np.array(counts, "<i8").tobytes()


WHOLE = Histogram.of(np.linspace(-1, 1, 500, dtype=np.float32)).to_bytes()
DAMAGED = {
    "nothing": b"",
    "something else": b"hello, this is no histogram",
    "cut short": WHOLE[:-10],
    "no length": b"ab",
    "fewer pairs than it says": (9).to_bytes(2, "little") + b"\x08" + b"\0" * 20,
    "more than it says": (0).to_bytes(2, "little") + b"\x08" + b"\0" * 20,
    "a width that no count has": (1).to_bytes(2, "little") + b"\x03" + b"\0" * 5,
    "more bins than there are": (BINS + 1).to_bytes(2, "little") + b"\x01" + b"\0" * 3 * (BINS + 1),
    "a bin out of range": _pack([BINS], [1]),
    "a negative count": _pack([3, 5], [-1, 2]),
    "counts whose sum overflows": _pack([3, 5, 7], [2**62, 2**62, 2**62]),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_storage_is_refused_in_words(damage):
    with pytest.raises(ValueError, match="A stored histogram is damaged"):
        Histogram.from_bytes(DAMAGED[damage])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_histogram_or_refused_and_nothing_else_happens(data):
    with contextlib.suppress(ValueError):
        assert Histogram.from_bytes(data).total >= 0


@pytest.mark.parametrize("most", [0, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**40])
def test_counts_are_stored_as_wide_as_the_largest_needs(most):
    counts = np.zeros(BINS, dtype=np.int64)
    counts[[5, 4000]] = 1, most
    np.testing.assert_array_equal(Histogram.from_bytes(Histogram(counts).to_bytes()).counts, counts)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, BINS - 1), st.integers(0, 2**50)), max_size=20))
def test_bins_in_any_order_or_twice_are_read_without_an_error(pairs):
    h = Histogram.from_bytes(_pack([b for b, _ in pairs], [c for _, c in pairs]))
    assert h.quantile([0.0, 0.5, 1.0]).shape == (3,)


@pytest.mark.parametrize(
    ("magnitude", "share"),
    [(0.0, 0.0), (2.0**-24, 0.25), (1.0, 0.5), (1.125, 0.75), (1.01, 0.75), (np.inf, 1.0)],
)
def test_the_share_below_a_size_ignores_zeros_and_signs(magnitude, share):
    values = np.array([0.0, -0.0, 1e-9, -0.5, 1.0, -4.0], dtype=np.float32)
    assert Histogram.of(values).share_below(magnitude) == share


def test_the_share_below_of_zeros_only_is_none():
    assert Histogram.of(np.zeros(3, dtype=np.float32)).share_below(1.0) == 0.0
    assert Histogram.empty().share_below(1.0) == 0.0


@settings(deadline=None)
@given(arrays)
def test_ordered_bins_tile_the_line_and_hold_every_finite_element(values):
    low, high, counts = Histogram.of(values).ordered()
    assert (low.shape, high.shape, counts.shape) == ((4080,),) * 3
    np.testing.assert_array_equal(low[1:], high[:-1])
    assert (low < high).all()
    assert (low[0], high[-1]) == (-(2.0**128), 2.0**128)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert counts.sum() == finite.size
    for value in finite[:20]:
        held = counts > 0
        inside = (low <= value) & (value <= high)
        assert (held & inside).any()
