"""Every kind of tensor: the right numbers or a reason, never an exception, nothing touched."""

from __future__ import annotations

import math
import random
import warnings

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gainstage.sketch import Histogram, Summary
from gainstage.sketch.anywhere import measure_anywhere
from gainstage.sketch.tensors import measure, unreadable

NAN, INF = math.nan, math.inf
MIXED = [1.5, -2.0, 0.0, NAN, INF, -INF, -0.0, 3.0]


def _quiet(make):
    """Make a tensor whose making warns (beta layouts); measuring it may not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def _coo():
    index = torch.tensor([[0, 0, 2], [1, 1, 0]])  # (0, 1) twice
    return _quiet(lambda: torch.sparse_coo_tensor(index, torch.tensor([1.0, 2.0, -4.0]), (3, 2)))


def _csr():
    dense = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 5.0]])
    return _quiet(dense.to_sparse_csr)


def _nested(layout):
    parts = [torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 0.0], [5.0, 7.0]])]
    return _quiet(lambda: torch.nested.nested_tensor(parts, layout=layout))


def _quantised():
    return _quiet(
        lambda: torch.quantize_per_tensor(torch.tensor([0.5, -1.0, 0.0]), 0.5, 0, torch.qint8)
    )


def _per_channel():
    return _quiet(
        lambda: torch.quantize_per_channel(
            torch.tensor([[0.5, -1.0], [2.0, 4.0]]),
            torch.tensor([0.5, 2.0]),
            torch.tensor([0, 0]),
            0,
            torch.qint8,
        )
    )


def _imaginary():
    """A view with the negative bit, of a view with the conjugate bit."""
    view = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert view.is_neg()
    return view


def _inference():
    with torch.inference_mode():
        return torch.ones(2)


GRID = torch.arange(-6.0, 6.0).reshape(3, 4)

# name -> (how it is made, the elements that it stands for)
READABLE = {
    "float32": (lambda: torch.tensor([1.0, -2.5, 0.0]), [1.0, -2.5, 0.0]),
    "not a number": (lambda: torch.tensor([NAN, NAN]), [NAN, NAN]),
    "everything at once": (lambda: torch.tensor(MIXED), MIXED),
    "float64 with everything": (lambda: torch.tensor(MIXED, dtype=torch.float64), MIXED),
    "only infinities": (lambda: torch.tensor([INF, -INF, INF]), [INF, -INF, INF]),
    "negative zeros": (lambda: torch.tensor([-0.0, -0.0]), [-0.0, -0.0]),
    "empty": (lambda: torch.empty(0, 3), []),
    "0-dim": (lambda: torch.tensor(2.5), [2.5]),
    "0-dim float64": (lambda: torch.tensor(-2.5, dtype=torch.float64), [-2.5]),
    "bfloat16": (
        lambda: torch.tensor([1.0, 3e38, -0.1]).bfloat16(),
        [1.0, 2.9976e38, -0.10009765625],
    ),
    "float16": (lambda: torch.tensor([6e-8, 65504.0, -1.0]).half(), [2**-24, 65504.0, -1.0]),
    "float16 whose squares overflow": (lambda: torch.full((8,), 6e4).half(), [60000.0] * 8),
    "float32 near its end": (lambda: torch.tensor([3e38, -3e38]), np.float32([3e38, -3e38])),
    "float32 whose squares underflow": (
        lambda: torch.full((9,), 1e-25),
        np.full(9, np.float32(1e-25)),
    ),
    "float32 subnormal": (lambda: torch.tensor([1e-45, -1e-40]), np.float32([1e-45, -1e-40])),
    "float64 beyond float32": (
        lambda: torch.tensor([1e200, -3e200], dtype=torch.float64),
        [1e200, -3e200],
    ),
    "float64 small": (
        lambda: torch.tensor([1e-200, 3e-200], dtype=torch.float64),
        [1e-200, 3e-200],
    ),
    "float64 subnormal": (
        lambda: torch.tensor([1e-320, -1e-320, 2e-320], dtype=torch.float64),
        [1e-320, -1e-320, 2e-320],
    ),
    "float64 of any size": (
        lambda: torch.tensor([1e300, 1e-300, 0.0], dtype=torch.float64),
        [1e300, 1e-300, 0.0],
    ),
    "float8_e4m3fn": (
        lambda: torch.tensor([0.5, -448.0, NAN]).to(torch.float8_e4m3fn),
        [0.5, -448.0, NAN],
    ),
    "float8_e5m2": (
        lambda: torch.tensor([0.25, INF, -2.0]).to(torch.float8_e5m2),
        [0.25, INF, -2.0],
    ),
    "uint8": (lambda: torch.tensor([0, 255], dtype=torch.uint8), [0, 255]),
    "int8": (lambda: torch.tensor([-128, 127, 0], dtype=torch.int8), [-128, 127, 0]),
    "int16": (lambda: torch.tensor([-32768, 5], dtype=torch.int16), [-32768, 5]),
    "int32": (lambda: torch.tensor([2**31 - 1, 0], dtype=torch.int32), [2**31 - 1, 0]),
    "int64": (lambda: torch.tensor([2**53, -(2**53)]), [2.0**53, -(2.0**53)]),
    "bool": (lambda: torch.tensor([True, False, True]), [1, 0, 1]),
    "complex64": (lambda: torch.tensor([3 + 4j, 0j]), [5.0, 0.0]),
    "complex128": (lambda: torch.tensor([3 + 4j, 1j], dtype=torch.complex128), [5.0, 1.0]),
    "conjugate": (lambda: torch.tensor([3 + 4j, -5j]).conj(), [5.0, 5.0]),
    "negative bit": (_imaginary, [-2.0, 4.0]),
    "COO, not coalesced": (_coo, [0, 3.0, 0, 0, -4.0, 0]),
    "COO without elements": (lambda: torch.zeros(2, 3).to_sparse(), [0.0] * 6),
    "COO of rows": (
        lambda: torch.tensor([[0, 0], [1.0, 0.0], [0, 0]]).to_sparse(1),
        [0, 0, 1.0, 0, 0, 0],
    ),
    "COO of complex numbers": (lambda: torch.tensor([0j, 3 + 4j]).to_sparse(), [0.0, 5.0]),
    "COO of booleans": (lambda: torch.tensor([False, True]).to_sparse(), [0, 1]),
    "CSR": (_csr, [0, 2.0, 0, 0, 0, 0, -1.0, 0, 5.0]),
    "CSC": (lambda: _quiet(GRID.to_sparse_csc), GRID),
    "BSR": (lambda: _quiet(lambda: GRID.to_sparse_bsr((3, 2))), GRID),
    "transposed": (lambda: GRID.T, GRID),
    "permuted": (lambda: torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1), np.arange(24.0)),
    "every second column": (lambda: GRID[:, ::2], GRID[:, ::2]),
    "every second element": (lambda: torch.arange(9.0)[::2], [0, 2, 4, 6, 8]),
    "slice with an offset": (lambda: GRID[1:, 1:3], GRID[1:, 1:3]),
    "expanded": (lambda: torch.tensor([[2.0], [-1.0]]).expand(2, 3), [2.0] * 3 + [-1.0] * 3),
    "expanded scalar": (lambda: torch.tensor(0.5).expand(4, 5), [0.5] * 20),
    "channels last": (
        lambda: torch.arange(16.0).reshape(1, 4, 2, 2).to(memory_format=torch.channels_last),
        np.arange(16.0),
    ),
    "quantised": (_quantised, [0.5, -1.0, 0.0]),
    "quantised by channel": (_per_channel, [0.5, -1.0, 2.0, 4.0]),
    "nested, strided": (lambda: _nested(torch.strided), [1, -2, 3, 0, 5, 7]),
    "nested, jagged": (lambda: _nested(torch.jagged), [1, -2, 3, 0, 5, 7]),
    "mkldnn": (GRID.to_mkldnn, GRID),
    "nested, of nothing": (lambda: _quiet(lambda: torch.nested.nested_tensor([])), []),
    "parameter": (lambda: torch.nn.Parameter(torch.tensor([1.0, 2.0])), [1.0, 2.0]),
    "with a graph": (lambda: torch.ones(3, requires_grad=True) * 2, [2.0] * 3),
    "in inference mode": (_inference, [1.0, 1.0]),
}


@pytest.mark.parametrize("kind", READABLE)
def test_readable_tensors_give_the_numbers_of_a_float64_oracle(kind, oracle):
    make, elements = READABLE[kind]
    elements = np.asarray(elements, dtype=np.float64).reshape(-1)
    tensor = make()
    with np.errstate(all="raise", under="ignore"):
        sketch = measure(tensor)
    if kind == "bfloat16":
        elements = tensor.float().double().numpy()
    oracle.check(sketch, elements)


def _fake():
    with FakeTensorMode():
        return torch.ones(3)


UNREADABLE = {
    "meta": (lambda: torch.ones(2, device="meta"), "a meta tensor holds no values"),
    "fake": (_fake, "a fake tensor holds no values"),
    "lazy": (lambda: torch.nn.LazyLinear(3).weight, "a lazy parameter holds no values yet"),
    "fake parameter": (lambda: torch.nn.Parameter(_fake()), "a fake tensor holds no values"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_tensors_give_a_reason_and_nothing_else(kind):
    make, reason = UNREADABLE[kind]
    sketch = measure(make())
    assert sketch.reason == reason
    assert sketch.summary.count == 0
    assert sketch.histogram.total == 0


def test_a_tensor_wrapped_by_vmap_gives_a_reason():
    reasons = []

    def double(x):
        reasons.append(measure(x).reason)
        return x * 2

    torch.func.vmap(double)(torch.ones(3, 2))
    torch.func.grad(lambda x: double(x).sum())(torch.ones(2))
    assert reasons == ["the tensor is wrapped by torch.func"] * 2
    assert unreadable(torch.ones(1)) == ""


@pytest.mark.parametrize("kind", READABLE)
def test_measuring_leaves_the_tensor_and_every_random_state_alone(kind):
    tensor = READABLE[kind][0]()
    before = [torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()]  # noqa: NPY002
    version = None if tensor.is_inference() else tensor._version
    graph = tensor.grad_fn
    measure(tensor)
    assert tensor.grad_fn is graph
    assert version is None or tensor._version == version
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_measuring_an_uncoalesced_tensor_does_not_coalesce_it():
    tensor = _coo()
    measure(tensor)
    assert not tensor.is_coalesced()


def test_measuring_makes_no_graph_and_calls_no_function_mode():
    seen = []

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    weight = torch.ones(3, requires_grad=True)
    with Spy():
        measure(weight)
        measure(weight.detach().double())
    assert seen == [torch.Tensor.detach, torch.Tensor.double]
    assert weight.grad is None


def test_measuring_under_autocast_and_another_default_dtype_reads_the_same():
    values = torch.linspace(-3, 5, 1000)
    plain = measure(values).summary
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert measure(values).summary == plain
    torch.set_default_dtype(torch.float64)
    try:
        assert measure(values).summary == plain
    finally:
        torch.set_default_dtype(torch.float32)


def test_one_nan_among_a_million_is_counted():
    values = torch.ones(1_000_000)
    values[777_777] = NAN
    summary = measure(values).summary
    assert (summary.nan, summary.finite, summary.mean, summary.std) == (1, 999_999, 1.0, 0.0)


def test_sketches_add_and_a_reason_survives():
    one, two = measure(torch.tensor([1.0, NAN])), measure(torch.tensor([3.0]))
    both = one + two
    assert (both.summary.count, both.summary.nan, both.summary.mean) == (3, 1, 2.0)
    assert both.histogram.total == 3
    assert (one + measure(torch.empty(1, device="meta"))).reason == "a meta tensor holds no values"


def test_plain_torch_ops_measure_the_whole_table_alike(oracle):
    for kind, (make, elements) in READABLE.items():
        tensor = make()
        plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_nested)
        if not plain or tensor.is_complex() or not tensor.numel() or kind == "bfloat16":
            continue
        flat = tensor.detach().reshape(-1)
        with torch.no_grad():
            flat = flat.float() if flat.element_size() == 1 else flat
            oracle.check(measure_anywhere(flat), elements)


def test_an_empty_tensor_is_the_neutral_element():
    sketch = measure(torch.empty(0))
    assert sketch.summary.values()[0] == 0
    assert Summary.empty() + measure(torch.ones(2)).summary == measure(torch.ones(2)).summary
    assert sketch.histogram.total == Histogram.empty().total
