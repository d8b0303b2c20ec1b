"""Summaries merge by addition into the summary of everything together."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gainstage.quantities import SUMMARY_KEYS
from gainstage.sketch import Summary

element = st.floats(-1e200, 1e200) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])
arrays = hnp.arrays(np.float64, st.integers(0, 40), elements=element)
EMPTY = Summary.empty()


def same(a, b):
    """Equal, NaN included."""
    return np.array_equal(a.values(), b.values(), equal_nan=True) and a.zeros == b.zeros


@settings(deadline=None)
@given(st.lists(arrays, min_size=1, max_size=4))
def test_the_sum_of_summaries_is_the_summary_of_the_concatenation(oracle, parts):
    merged = functools.reduce(operator.add, map(oracle.summary, parts))
    oracle.same_summary(merged, oracle.summary(np.concatenate(parts)), rel=1e-12)


@settings(deadline=None)
@given(arrays, arrays, arrays)
def test_addition_commutes_and_associates_to_rounding(oracle, x, y, z):
    a, b, c = map(oracle.summary, (x, y, z))
    oracle.same_summary(a + b, b + a, rel=1e-14)
    oracle.same_summary((a + b) + c, a + (b + c), rel=1e-14)


@settings(deadline=None)
@given(arrays)
def test_the_empty_summary_is_neutral(oracle, x):
    a = oracle.summary(x)
    assert same(a + EMPTY, a)
    assert same(EMPTY + a, a)


def test_the_empty_summary_has_no_numbers_but_no_errors_either():
    assert (EMPTY.count, EMPTY.finite, EMPTY.l2) == (0, 0, 0.0)
    assert all(map(math.isnan, (EMPTY.mean, EMPTY.rms, EMPTY.zero_share)))


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_merging_equal_constants_keeps_them_exactly(count):
    one = Summary(1, 0.1, 0.0, 0.1, 0.1)
    whole = functools.reduce(operator.add, [one] * count)
    assert (whole.count, whole.mean, whole.std) == (count, 0.1, 0.0)


def test_non_finite_elements_stay_out_of_the_moments():
    a = Summary(5, 2.0, 1.0, 1.0, 3.0, nan=2, inf=1)
    assert (a.finite, a.rms, a.l2) == (2, math.sqrt(5), math.sqrt(10))
    b = a + Summary(2, math.nan, math.nan, math.nan, math.nan, inf=2)
    assert (b.count, b.nan, b.inf, b.mean, b.std) == (7, 2, 3, 2.0, 1.0)


def test_values_come_in_the_order_of_the_table_of_quantities():
    a = Summary(8, 3.0, 4.0, -1.0, 9.0, zeros=2, nan=1, inf=1)
    found = dict(zip(SUMMARY_KEYS, a.values(), strict=True))
    assert found == {
        "count": 8,
        "mean": 3,
        "rms": 5,
        "std": 4,
        "l2": 5 * math.sqrt(6),
        "min": -1,
        "max": 9,
        "zero_share": 0.25,
        "nan": 1,
        "inf": 1,
        "rms_error": 0.0,
    }


def test_errors_of_samples_add_as_variances_do():
    a = Summary(100, 0.0, 1.0, -2.0, 2.0, sample_of=1000, rms_error=0.03)
    b = Summary(300, 0.0, 2.0, -4.0, 4.0, sample_of=3000, rms_error=0.01)
    merged = a + b
    assert (merged.count, merged.size) == (400, 4000)
    assert merged.rms == pytest.approx(math.sqrt(3.25))
    assert merged.rms_error == pytest.approx(math.hypot(100 * 0.03, 1200 * 0.01) / 1300)
    assert merged.l2 == pytest.approx(math.sqrt(3.25 * 4000))
