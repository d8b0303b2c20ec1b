"""Reading memory by its address gives what the other ways give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gainstage.sketch import pointers
from gainstage.sketch.tensors import is_plain, measure, scan_float32

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


def read(x: np.ndarray):
    out = np.empty(pointers.MOMENTS)
    pointers.read(x.ctypes.data, x.size, out)
    return pointers.summary(out)


@settings(deadline=None)  # the first call compiles
@given(arrays.arrays(np.float32, st.integers(1, 200), elements=FLOATS))
def test_moments_by_address_are_those_of_the_scan(x):
    found, scanned = read(x), scan_float32(x).summary
    # a sum about another pivot may round differently, by that of the largest element
    tiny = 1e-12 * scanned.rms if scanned.finite else 0.0
    assert found.values() == pytest.approx(scanned.values(), nan_ok=True, abs=tiny)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 16_383, 16_384, 16_385, 70_000])
def test_moments_at_the_borders_of_lines_and_blocks(n):
    x = np.random.default_rng(n).normal(3, 2, n).astype(np.float32)
    x[:: max(n // 7, 1)] = 0.0
    found = read(x)
    assert found.values() == pytest.approx(scan_float32(x).summary.values(), rel=1e-9)


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


@pytest.mark.parametrize(("n", "keep"), [(5, 1), (64, 2), (100, 3), (4096, 8), (33, 4)])
def test_a_sample_takes_whole_lines_in_turn_and_all_turns_take_everything(n, keep):
    x = np.arange(n, dtype=np.float32)
    out = np.zeros(n + pointers.LINE, dtype=np.uint32)
    taken = []
    for offset in range(keep):
        m = pointers.gather(x.ctypes.data, n, keep, offset, out)
        taken.extend(out[:m].view(np.float32).tolist())
    assert sorted(taken) == x.tolist()


@pytest.mark.parametrize("bins", [True, False])
def test_a_freed_storage_is_told_and_not_touched(bins):
    x = torch.randn(100)
    x.untyped_storage().resize_(0)
    assert measure(x, bins=bins).reason == "the tensor's storage was freed"
    assert not is_plain(x)
