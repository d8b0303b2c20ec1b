"""Tensors of every kind as rows: exact where all is read, near where a sample is; none touched."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gainstage.sketch import Histogram, rows
from gainstage.sketch.reader import Reader, kind_of

LINES = 8
SPECIAL = [1.5, -2.0, 0.0, math.nan, math.inf, -math.inf, -0.0, 3.0]


def read(tensor, lines=None, *, bins=True, turn=3, fresh=True):
    reader, row = Reader(lines), rows.new(1)[0]
    reader.bins, reader.turn = bins, turn
    row[:] = -1.0  # whatever was there before
    return row, reader.read(tensor, row, fresh=fresh)


def numbers(tensor):
    return tensor.detach().double().numpy()


def negative(x):
    """A view whose elements are to be negated when they are read."""
    return torch.complex(x, x).conj().imag


def nested(layout):
    return lambda x: torch.nested.nested_tensor([x[:7], x[7:]], layout=layout)


def quantised(x):
    if not hasattr(torch, "quantize_per_tensor"):
        pytest.skip("torch quantises no more")
    return torch.quantize_per_tensor(x, 0.05, 3, torch.qint8)


def channels_last(x):
    return x.reshape(2, 10, 10, 10).to(memory_format=torch.channels_last)


# name -> (what it makes of a float32 [40, 50], its elements by another way, if not by `numbers`)
SAMPLED = {
    "float32": (lambda x: x,),
    "float64": (lambda x: x.double(),),
    "bfloat16": (lambda x: x.bfloat16(),),
    "float16": (lambda x: x.half(),),
    "transposed": (lambda x: x.t(),),
    "transposed bfloat16": (lambda x: x.bfloat16().t(),),
    "transposed float64": (lambda x: x.double().t(),),
    "channels last": (channels_last,),
    "every second row": (lambda x: x[::2],),
    "expanded": (lambda x: x[0].expand(40, 50),),
    "negative bit": (negative,),
    "slice with an offset": (lambda x: x[7:],),
    "requires grad": (lambda x: x.requires_grad_(),),
    "with a graph": (lambda x: x.requires_grad_() * 2,),
    "parameter": (torch.nn.Parameter,),
}
EXACT = {
    "float8_e4m3fn": (lambda x: x.to(torch.float8_e4m3fn), lambda t: numbers(t.float())),
    "float8_e5m2": (lambda x: x.to(torch.float8_e5m2), lambda t: numbers(t.float())),
    "uint8": (lambda x: (x.abs() * 50).to(torch.uint8),),
    "int32": (lambda x: (x * 50).int(),),
    "int64": (lambda x: (x * 1e9).long(),),
    "bool": (lambda x: x > 0,),
    "complex64": (lambda x: torch.complex(x, 2 * x), lambda t: numbers(t.abs())),
    "COO": (lambda x: x.relu().to_sparse(), lambda t: numbers(t.to_dense())),
    "CSR": (lambda x: x.relu().to_sparse_csr(), lambda t: numbers(t.to_dense())),
    "nested, strided": (nested(torch.strided), lambda t: np.concatenate([*map(numbers, t)])),
    "nested, jagged": (nested(torch.jagged), lambda t: numbers(t.values())),
    "quantised": (quantised, lambda t: numbers(t.dequantize())),
    "small": (lambda x: x[:10],),
    "0-dim": (lambda x: x[3, 4],),
    "0-dim bfloat16": (lambda x: x[3, 4].bfloat16(),),
    "empty": (lambda x: x[:0],),
}
KINDS = SAMPLED | EXACT


class Found(NamedTuple):
    tensor: torch.Tensor
    elements: np.ndarray
    """In float64."""
    sampled: bool
    """Whether a sample is enough of it."""
    way: Callable
    """From the tensor to its elements."""


@pytest.fixture(params=KINDS)
def found(request):
    """A tensor of each kind."""
    x = torch.randn(40, 50, generator=torch.Generator().manual_seed(0))
    make, *other = KINDS[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layouts in beta
        tensor = make(x)
    way = (*other, numbers)[0]
    return Found(tensor, way(tensor).copy(), request.param in SAMPLED, way)


def test_without_a_sample_every_element_is_read(found, oracle):
    elements = found.elements
    row, counts = read(found.tensor)
    oracle.same_summary(rows.summary(row), oracle.summary(elements))
    assert rows.summary(row).rms_error == 0.0
    oracle.same_bins(Histogram(counts), oracle.bins(elements))


def test_a_sample_lies_near_within_its_error_and_what_is_not_sampled_is_exact(found, oracle):
    elements = found.elements
    row, counts = read(found.tensor, LINES)
    summary, whole = rows.summary(row), oracle.summary(elements)
    if not found.sampled:
        oracle.same_summary(summary, whole)
        oracle.same_bins(Histogram(counts), oracle.bins(elements))
        return
    assert (summary.count, summary.size) == (counts.sum(), whole.count)
    assert LINES * 64 - 64 < summary.count <= LINES * 64
    assert 0 < summary.rms_error < 0.2
    assert summary.rms == pytest.approx(whole.rms, rel=4 * summary.rms_error)
    assert whole.min <= summary.min <= summary.max <= whole.max


@pytest.mark.parametrize("lines", [None, LINES])
def test_histograms_only_where_they_are_wanted_and_the_row_is_the_same(found, lines):
    row, counts = read(found.tensor, lines)
    bare, nothing = read(found.tensor, lines, bins=False)
    assert counts is not None
    assert nothing is None
    np.testing.assert_allclose(bare, row, rtol=1e-12)


@pytest.mark.parametrize("lines", [None, LINES])
def test_the_tensor_its_graph_and_every_random_state_stay_untouched(found, lines):
    def state():
        numpys = np.random.get_state()[1].tolist()  # noqa: NPY002
        randoms = torch.get_rng_state().tolist(), numpys, random.getstate()
        return tensor._version, tensor.requires_grad, randoms

    tensor = found.tensor
    before, graph = state(), tensor.grad_fn
    read(tensor, lines)
    assert state() == before
    assert tensor.grad_fn is graph
    assert not tensor.is_leaf or tensor.grad is None
    np.testing.assert_array_equal(found.way(tensor), found.elements)


@pytest.mark.parametrize("lines", [None, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_numbers_that_are_not_finite_are_counted(dtype, lines, oracle):
    row, counts = read(torch.tensor(SPECIAL, dtype=dtype), lines)
    oracle.same_summary(rows.summary(row), oracle.summary(SPECIAL))
    oracle.same_bins(Histogram(counts), oracle.bins(SPECIAL))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_float32_tensor_whose_sample_is_not_finite_is_read_whole(bad, turned, oracle):
    x = torch.randn(40, 50)
    x.view(-1)[::60] = bad  # in every line
    row, _ = read(x.t() if turned else x, LINES)
    oracle.same_summary(rows.summary(row), oracle.summary(numbers(x)))
    assert rows.summary(row).rms_error == 0.0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_of_other_dtypes_such_a_sample_says_that_its_error_is_not_known(dtype):
    x = torch.ones(2000, dtype=dtype)
    x[::60] = math.nan
    found = rows.summary(read(x, LINES)[0])
    assert found.count < found.size == 2000
    assert found.nan > 0
    assert math.isnan(found.rms_error)


def fake():
    with FakeTensorMode():
        return torch.ones(3)


def freed(x=None, left=0):
    x = torch.randn(2000) if x is None else x
    x.untyped_storage().resize_(left)
    return x


@pytest.mark.parametrize("lines", [None, LINES])
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(2, device="meta"),
        fake,
        lambda: torch.nn.LazyLinear(3).weight,
        freed,
        lambda: freed(torch.randn(40, 50).t()),
        lambda: freed(left=400),
    ],
    ids=["meta", "fake", "lazy", "freed", "freed and transposed", "freed in part"],
)
def test_what_has_no_values_has_no_count_and_no_histogram(make, lines):
    row, counts = read(make(), lines, fresh=False)
    assert math.isnan(row[rows.COUNT])
    assert counts is None


def test_what_torch_func_has_wrapped_has_no_values():
    seen = []
    torch.func.vmap(lambda x: seen.append(read(x)) or x)(torch.ones(3, 2))
    assert math.isnan(seen[0][0][rows.COUNT])


def test_a_storage_that_still_holds_its_memory_is_read_also_if_it_is_not_fresh():
    x = torch.randn(2000)
    np.testing.assert_array_equal(read(x, fresh=False)[0], read(x)[0])


def test_samples_move_on_with_the_turn():
    x = torch.arange(2000.0)
    assert len({read(x, 1, turn=turn)[0][rows.MIN] for turn in range(32)}) == 32


def test_a_reader_has_a_plan_for_kernels():
    reader = Reader(LINES)
    reader.turn = 5
    assert reader.plan == (LINES, 5)
    assert Reader().plan == (0, 0)


def test_only_what_lies_in_one_piece_is_for_kernels():
    x = torch.ones(4, 6)
    dtypes = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
    assert [kind_of(x.to(dtype)) for dtype in dtypes] == [1, 2, 3, 4]
    others = (x.t(), x.int(), x.to_sparse(), negative(x), x[:0], x.to("meta"), fake(), freed())
    assert [kind_of(other) for other in others] == [0] * len(others)
