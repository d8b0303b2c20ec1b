"""Reading memory by its address gives what the other ways give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gainstage.sketch import pointers, rows
from gainstage.sketch.tensors import is_plain, measure, scan_float32

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


def read(x: np.ndarray):
    out = rows.new(1)[0]
    pointers.read(x.ctypes.data, x.size, out)
    return rows.summary(out)


@settings(deadline=None)  # the first call compiles
@given(arrays.arrays(np.float32, st.integers(1, 200), elements=FLOATS))
def test_moments_by_address_are_those_of_the_scan(x):
    assert read(x).values() == pytest.approx(scan_float32(x).summary.values(), nan_ok=True)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 16_383, 16_384, 16_385, 70_000])
def test_moments_at_the_borders_of_lines_and_blocks(oracle, n):
    x = np.random.default_rng(n).normal(3, 2, n).astype(np.float32)
    x[:: max(n // 7, 1)] = 0.0
    oracle.same_summary(read(x), oracle.summary(x))


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_a_histogram_does_not_mind_where_its_memory_begins(oracle, start):
    x = np.random.default_rng(0).normal(size=200_003).astype(np.float32)[start:]
    oracle.same_bins(scan_float32(x).histogram, oracle.bins(x))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4)])
def test_without_bins_the_summary_is_the_same(shape):
    x = torch.randn(shape)
    plain, full = measure(x, bins=False), measure(x)
    assert plain.histogram is None
    assert plain.summary.values() == pytest.approx(full.summary.values(), rel=1e-9)


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(4, 6).t(),
        torch.randn(6)[::2],
        torch.randn(3, 1).expand(3, 4),
        torch.randn(5, dtype=torch.float64),
        torch.randn(5).bfloat16(),
        torch.empty(0),
        torch.eye(3).to_sparse(),
    ],
)
def test_what_does_not_lie_in_one_piece_is_read_the_other_way(x):
    left, right = measure(x, bins=False).summary, measure(x).summary
    assert left.values() == pytest.approx(right.values(), nan_ok=True, rel=1e-9)


@pytest.mark.parametrize("bins", [True, False])
def test_a_freed_storage_is_told_and_not_touched(bins):
    x = torch.randn(100)
    x.untyped_storage().resize_(0)
    assert measure(x, bins=bins).reason == "the tensor's storage was freed"
    assert not is_plain(x)
