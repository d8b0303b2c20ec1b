"""The fast path on the CPU against plain torch ops, and the loops over units against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gainstage.sketch import Summary, kernels
from gainstage.sketch.anywhere import measure_anywhere
from gainstage.sketch.tensors import measure, scan_float32

TINY, LARGE = 1e-45, 3.4028234663852886e38
EDGES = [0.0, -0.0, TINY, -TINY, 1.1754944e-38, LARGE, -LARGE, 1.0, -1.0]
BORDERS = [
    edge + step
    for edge in (4, kernels.BLOCK, kernels.MANY, 2 * kernels.MANY)
    for step in (-1, 0, 1)
]

single = st.floats(width=32, allow_subnormal=True) | st.sampled_from(EDGES)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from(EDGES)
lengths = st.integers(1, 300)


def both(values):
    """The same sketch by the kernels and by plain torch ops."""
    return measure(torch.from_numpy(values)), measure_anywhere(torch.from_numpy(values))


@settings(deadline=None, max_examples=150)
@given(hnp.arrays(np.float32, lengths, elements=single))
@example(np.zeros(1, dtype=np.float32))
@example(np.full(7, np.nan, dtype=np.float32))
@example(np.array([-0.0, -TINY], dtype=np.float32))
def test_kernels_and_plain_torch_ops_agree_with_the_oracle(oracle, values):
    for sketch in both(values):
        oracle.check(sketch, values.astype(np.float64))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["as drawn", "negative", "positive", "constant"]),
    hnp.arrays(np.float32, lengths, elements=finite),
)
def test_extremes_and_spread_are_right_for_any_mix_of_signs(oracle, shape, values):
    shaped = {
        "as drawn": lambda: values,
        "negative": lambda: -np.abs(values),
        "positive": lambda: np.abs(values),
        "constant": lambda: np.full_like(values, values[0]),
    }[shape]()
    sketch, plain = both(shaped)
    assert (sketch.summary.min, sketch.summary.max) == (shaped.min(), shaped.max())
    if shape == "constant":
        assert sketch.summary.std == plain.summary.std == 0.0
    oracle.same_bins(sketch.histogram, plain.histogram)


@pytest.mark.parametrize("length", BORDERS)
def test_lengths_around_a_block_and_a_lane_lose_no_element(oracle, length):
    values = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    values[[0, -1]] = 100.0, -100.0
    sketch = scan_float32(values)
    oracle.same_summary(sketch.summary, oracle.summary(values))
    np.testing.assert_array_equal(
        sketch.histogram.counts, np.bincount(values.view(np.uint32) >> 20, minlength=4096)
    )


@pytest.mark.parametrize("length", [kernels.BLOCK + 1, kernels.MANY + 1])
def test_a_nan_in_the_last_element_of_a_long_tensor_is_found(length):
    values = np.ones(length, dtype=np.float32)
    values[-1] = np.nan
    assert scan_float32(values).summary == Summary(length, 1.0, 0.0, 1.0, 1.0, nan=1)


def test_a_large_offset_does_not_cancel_the_spread(oracle):
    values = (1e4 + np.random.default_rng(0).standard_normal(50_000)).astype(np.float32)
    oracle.same_summary(scan_float32(values).summary, oracle.summary(values), rel=1e-13)


def test_an_outlier_in_front_does_not_cancel_the_spread_of_the_rest(oracle):
    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    values[0] = 1e6
    found, expected = scan_float32(values).summary, oracle.summary(values)
    assert found.std == pytest.approx(expected.std, rel=1e-9)
    assert found.mean == pytest.approx(expected.mean, rel=1e-9)


def test_counts_and_extremes_stand_when_the_processor_flushes_denormals():
    values = torch.tensor([1e-40, -1e-45, 0.0, -0.0, 2.0, 1e-42])
    plain = measure(values)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        flushed = measure(values)
        wide = measure(torch.tensor([1e-320, 0.0, 1.0, 1e-40], dtype=torch.float64))
    finally:
        torch.set_flush_denormal(False)
    for key in ("count", "zeros", "nan", "inf", "min", "max"):
        assert getattr(flushed.summary, key) == getattr(plain.summary, key), key
    np.testing.assert_array_equal(flushed.histogram.counts, plain.histogram.counts)
    assert (wide.summary.count, wide.summary.max, wide.reason) == (4, 1.0, "")
