"""The oracle: what a summary and a histogram must say, in extended precision and plain numpy."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from gainstage.sketch import Histogram, Summary


def summary_of(values):
    """Summary of a float64 array: moments in 80-bit floats, whose range no square leaves."""
    values = np.asarray(values, dtype=np.float64).reshape(-1)
    finite = values[np.isfinite(values)].astype(np.longdouble)
    nan = int(np.isnan(values).sum())
    counts = {"zeros": int((values == 0).sum()), "nan": nan}
    counts["inf"] = values.size - finite.size - nan
    if not finite.size:
        return Summary(values.size, math.nan, math.nan, math.nan, math.nan, **counts)
    mean = finite.mean()
    std = np.sqrt(np.square(finite - mean).mean())
    moments = map(float, (mean, std, finite.min(), finite.max()))
    return Summary(values.size, *moments, **counts)


def bins_of(values):
    """Histogram of a float64 array by looping over its elements."""
    limit, tiny = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)
    counts = np.zeros(4096, dtype=np.int64)
    for value in np.asarray(values, dtype=np.float64).reshape(-1).tolist():
        kept = value
        if math.isfinite(value) and value != 0:  # stays finite, and stays apart from zero
            kept = math.copysign(min(max(abs(value), tiny), limit), value)
        counts[int(np.float32(kept).view(np.uint32)) >> 20] += 1
    return Histogram(counts)


def assert_same_summary(found, expected, *, rel=1e-11):
    """Counts and extremes are equal, moments within rounding of the largest element.

    Below the smallest normal number a float64 has no relative precision left.
    """
    exact = ("count", "zeros", "nan", "inf")
    assert {k: getattr(found, k) for k in exact} == {k: getattr(expected, k) for k in exact}
    for key in ("min", "max"):
        assert getattr(found, key) == pytest.approx(getattr(expected, key), rel=0, nan_ok=True)
    size = max(abs(expected.min), abs(expected.max)) if expected.finite else 0.0
    error = max(rel * size, sys.float_info.min)
    for key in ("mean", "std", "rms"):
        wanted = pytest.approx(getattr(expected, key), rel=0, abs=error, nan_ok=True)
        assert getattr(found, key) == wanted, key


def assert_same_bins(found, expected):
    """Every finite bin is equal; a NaN's sign and payload may differ."""
    finite = (np.arange(4096) % 2048) < 2040
    np.testing.assert_array_equal(found.counts[finite], expected.counts[finite])
    assert found.total == expected.total


class Oracle:
    summary = staticmethod(summary_of)
    bins = staticmethod(bins_of)
    same_summary = staticmethod(assert_same_summary)
    same_bins = staticmethod(assert_same_bins)

    @staticmethod
    def check(sketch, values, *, rel=1e-11):
        """A sketch says of `values` what the oracle says."""
        assert sketch.reason == ""
        assert_same_summary(sketch.summary, summary_of(values), rel=rel)
        assert_same_bins(sketch.histogram, bins_of(values))


@pytest.fixture(scope="session")
def oracle():
    return Oracle
