"""Readings by plain torch operations hold the very elements that the kernels read."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gainstage.sketch import elsewhere, rows, sampling
from gainstage.sketch.elsewhere import Elsewhere, bring, is_elsewhere
from gainstage.sketch.histogram import BINS
from gainstage.sketch.reader import Reader
from gainstage.sketch.sampling import LINE

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def _ours(tensor, lines, turn, *, bins=True):
    reading = Elsewhere().read(tensor, lines=lines, turn=turn, bins=bins)
    values = bring([reading.values])[0]
    row = rows.new(1)[0]
    reading.write(values, row)
    return row, reading.counts(values)


def _kernels(tensor, lines, turn):
    reader, row = Reader(lines), rows.new(1)[0]
    reader.turn = turn
    return row, reader.read(tensor, row)


@settings(deadline=None)
@given(
    n=st.integers(1, 20_000),
    lines=st.integers(1, 40),
    turn=st.integers(0, 10_000),
)
def test_a_sample_is_element_for_element_that_of_the_kernels(n, lines, turn):
    x = torch.arange(n, dtype=torch.float32)
    found = Elsewhere().sample(x, lines, turn)
    expected = np.zeros(lines * LINE, dtype=np.float32)
    m = sampling.gather(x.data_ptr(), n, sampling.FLOAT32, lines, turn, expected)
    np.testing.assert_array_equal(found.numpy(), expected[:m])


@pytest.mark.parametrize("lines", [None, 4], ids=["exact", "sampled"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(37, 41),
        lambda: torch.randn(3),
        lambda: torch.randn(64, 32).relu(),
        lambda: torch.randn(16, 8, 5, 5).contiguous(memory_format=torch.channels_last),
        lambda: torch.randn(70, 40).t(),
        lambda: torch.randn(5, 6)[:, ::2],
        lambda: torch.zeros(400),
        lambda: torch.tensor([1.0, math.nan, -math.inf, 0.0]),
        lambda: torch.tensor([math.nan, math.inf]),
        lambda: torch.tensor(3.0),
        lambda: torch.full((300,), 60000.0),
    ],
)
def test_rows_and_histograms_are_those_of_the_kernels(make, dtype, lines):
    torch.manual_seed(0)
    x = make().to(dtype)
    row, counts = _ours(x, lines, 3)
    expected, expected_counts = _kernels(x, lines, 3)
    found, wanted = (astuple(rows.summary(one)) for one in (row, expected))
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True)
    np.testing.assert_array_equal(counts, expected_counts)


def test_what_is_read_is_a_copy_even_where_it_is_all_of_it():
    x = torch.ones(10)
    reading = Elsewhere().read(x, lines=4, turn=0, bins=False)
    x.add_(5)
    assert bring([reading.values])[0].tolist() == [1.0] * 10


def test_many_come_over_in_one_piece_for_each_type():
    tensors = [torch.tensor([1.0, 2.0]), torch.tensor([3.0], dtype=torch.float64), torch.ones(3)]
    assert [values.tolist() for values in bring(tensors)] == [[1, 2], [3], [1, 1, 1]]
    assert bring([]) == []


@pytest.mark.parametrize("lines", [None, 4], ids=["exact", "sampled"])
@pytest.mark.parametrize("shape", [(1,), (100, 33), (16, 8, 5, 5)])
def test_no_reading_depends_on_values(lines, shape):
    """A tensor without values has the same operations done to it, so none waits for a device."""
    reading = Elsewhere().read(torch.empty(shape, device="meta"), lines=lines, turn=5, bins=True)
    n = math.prod(shape)
    sampled = Elsewhere().sample(torch.empty(shape), 4, 5).numel()
    assert reading.values.shape == ((rows.WIDTH + BINS,) if lines is None else (sampled,))
    assert reading.size == n


def test_tensors_of_one_size_share_the_places_of_a_turn():
    reader = Elsewhere()
    x = torch.randn(5000)
    first = [reader.sample(x, 4, 1) for _ in range(2)]
    assert torch.equal(*first)
    assert not torch.equal(first[0], reader.sample(x, 4, 2))


def test_what_lies_in_the_processors_memory_or_nowhere_is_not_elsewhere(monkeypatch):
    x = torch.ones(3)
    assert not is_elsewhere(x)
    assert not is_elsewhere(torch.ones(3, device="meta"))
    monkeypatch.setattr(elsewhere, "_HOME", "another")
    assert is_elsewhere(x)
    kinds = [torch.ones(3, dtype=torch.int64), torch.ones(0), x.to_sparse(), torch.ones(3) * 1j]
    assert not any(is_elsewhere(kind) for kind in kinds)
