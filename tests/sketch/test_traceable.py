"""Readings by plain torch operations: the numbers of the kernels, and nothing a graph breaks on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gainstage.sketch import rows
from gainstage.sketch.reader import Reader
from gainstage.sketch.sampling import LINE, LINES
from gainstage.sketch.traceable import row_of, sample_of

TENSORS = {
    "normal": lambda: torch.randn(1000),
    "far from zero": lambda: torch.randn(1000) + 1000,
    "constant": lambda: torch.full((77,), 0.1),
    "zeros": lambda: torch.zeros(5),
    "one": lambda: torch.tensor([3.0]),
    "broken": lambda: torch.tensor([1.0, float("nan"), float("inf"), -float("inf"), 0.0]),
    "nothing finite": lambda: torch.tensor([float("nan"), float("inf")]),
    "tiny": lambda: torch.full((9,), 1e-40),
    "huge": lambda: torch.tensor([3e38, -3e38]),
    "bfloat16": lambda: torch.randn(300).bfloat16(),
    "float64": lambda: torch.randn(300).double(),
    "transposed": lambda: torch.randn(30, 20).t(),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_row_is_the_one_that_the_kernels_write(kind):
    torch.manual_seed(0)
    tensor = TENSORS[kind]()
    expected = rows.new(1)[0]
    Reader().read(tensor, expected)
    a, b = rows.summary(row_of(tensor).numpy()), rows.summary(expected)
    for key in ("count", "zeros", "nan", "inf", "min", "max", "mean", "std", "rms"):
        first, second = getattr(a, key), getattr(b, key)
        assert first == pytest.approx(second, rel=1e-6, abs=1e-12, nan_ok=True), key


@pytest.mark.parametrize("size", [1, 5, LINE * LINES])
def test_a_small_tensor_is_sampled_whole_and_in_order(size):
    x = torch.arange(float(size))
    sample = sample_of(x, LINES, torch.tensor([3]))
    assert sample.shape == (LINE * LINES,)
    assert sample[:size].equal(x)


@pytest.mark.parametrize("size", [LINE * LINES + 1, 4096, 10_000, 1_000_000])
def test_a_sample_has_each_element_once_and_the_next_ones_go_on(size):
    x = torch.arange(size).double()
    seen: set[float] = set()
    for turn in range(40):
        sample = sample_of(x, LINES, torch.tensor([turn]))
        assert len(set(sample.tolist())) == LINE * LINES
        seen |= set(sample.tolist())
    assert len(seen) >= min(size - LINE, 39 * LINE * LINES)
    assert math.isclose(np.mean(list(seen)) / size, 0.5, abs_tol=0.1)


def test_neither_depends_on_values_nor_waits_for_a_device():
    meta = torch.empty(100, 100, device="meta")  # has none to wait for
    assert row_of(meta).shape == (rows.WIDTH,)
    turn = torch.zeros(1, dtype=torch.int64, device="meta")
    assert sample_of(meta, LINES, turn).shape == (LINE * LINES,)
