"""Measure one torch tensor of any kind: exact moments and histogram, or why it has none."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parameter import is_lazy

from gainstage.sketch import kernels, pointers, rows
from gainstage.sketch.anywhere import measure_anywhere
from gainstage.sketch.histogram import BINS, FLOAT32_MAX, FLOAT32_TINY, Histogram
from gainstage.sketch.pointers import holds_memory
from gainstage.sketch.sketch import Sketch
from gainstage.sketch.summary import Summary
from gainstage.torch_private import is_fake, is_functorch_wrapped, without_overrides

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# Below and above these, squares of float64 leave its range, and the tensor is rescaled first.
_SQUARE_SAFE: Final = (1e-150, 1e150)
_EXACT_IN_FLOAT32: Final = (torch.float32, torch.float16, torch.bfloat16, torch.bool)


def measure(tensor: Tensor, *, bins: bool = True) -> Sketch:
    """Exact moments and histogram of a tensor, whatever its dtype, layout or device.

    Integers and booleans are read as numbers, complex elements by their absolute value, sparse
    tensors with their implicit zeros, quantised ones after dequantising, and a distributed
    tensor by its local shard. The tensor, its graph and every random state stay untouched.

    Args:
        tensor: of any shape.
        bins: whether the histogram is wanted; the moments alone cost a third.

    Returns:
        The sketch. Its ``reason`` is set, and its summary empty, for a tensor that has no
        values to read (meta, fake, lazy, functorch-wrapped).

    Example:
        >>> sketch = measure(torch.tensor([1.0, -1.0, 0.0, float("nan")]))
        >>> sketch.summary.nan, sketch.summary.zero_share, round(sketch.summary.rms, 4)
        (1, 0.25, 0.8165)
        >>> measure(torch.empty(3, device="meta")).reason
        'a meta tensor holds no values'
    """
    with without_overrides(), torch.no_grad():
        reason = unreadable(tensor)
        if reason:
            return Sketch(Summary.empty(), Histogram.empty(), reason)
        if is_plain(tensor):
            if bins:
                return scan_float32(tensor.detach().view(-1).numpy())
            row = rows.new(1)[0]
            pointers.read(tensor.data_ptr(), tensor.numel(), row)
            return Sketch(rows.summary(row), None)
        values, implicit_zeros = _plain(tensor.detach())
        if not values.numel():
            sketch = Sketch(Summary.empty(), Histogram.empty())
        elif values.device.type == "cpu":
            sketch = _measure_cpu(values)
        else:
            sketch = measure_anywhere(values)
        if implicit_zeros:
            zeros = Summary(implicit_zeros, 0.0, 0.0, 0.0, 0.0, zeros=implicit_zeros)
            histogram = Histogram.empty()
            histogram.counts[0] = implicit_zeros
            sketch = sketch + Sketch(zeros, histogram)
        return sketch


def is_plain(tensor: Tensor) -> bool:
    """Whether the elements lie as float32 in one piece of the processor's memory."""
    return (
        not tensor.is_nested
        and tensor.dtype == torch.float32
        and tensor.layout == torch.strided
        and tensor.is_cpu
        and type(tensor) in {Tensor, torch.nn.Parameter}
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and tensor.numel() > 0
        and holds_memory(tensor)
    )


def unreadable(tensor: Tensor) -> str:
    """Why a tensor's values cannot be read; ``""`` if they can."""
    if tensor.device.type == "meta":
        return "a meta tensor holds no values"
    if is_functorch_wrapped(tensor):
        return "the tensor is wrapped by torch.func"
    if is_fake(tensor):
        return "a fake tensor holds no values"
    if is_lazy(tensor):
        return "a lazy parameter holds no values yet"
    ordinary = type(tensor) in {Tensor, torch.nn.Parameter} and tensor.layout == torch.strided
    if ordinary and tensor.numel():
        whole = not tensor.is_nested and tensor.is_contiguous()
        if not (holds_memory(tensor) if whole else tensor.untyped_storage().nbytes()):
            return "the tensor's storage was freed"
    return ""


def version_of(tensor: Tensor) -> int:
    """How often a tensor was changed in place; 0 where torch does not count."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 - torch's own counter


def _plain(tensor: Tensor) -> tuple[Tensor, int]:
    """A dense, real, flat tensor of a dtype that numpy has, and the number of implicit zeros."""
    total = 0
    if hasattr(tensor, "to_local"):  # DTensor: a full tensor would be a collective
        tensor = tensor.to_local()
    if tensor.is_nested:
        tensor = tensor.values() if tensor.layout == torch.jagged else _unbind(tensor)
    elif tensor.layout != torch.strided:
        total = math.prod(tensor.shape)
        if tensor.layout == torch.sparse_coo:
            tensor = tensor.coalesce().values()
        elif tensor.is_mkldnn:
            tensor = tensor.to_dense()
        else:
            tensor = tensor.values()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.is_complex():
        tensor = tensor.abs()
    elif tensor.is_floating_point() and tensor.element_size() == 1:
        tensor = tensor.float()
    return flat(tensor), max(total - tensor.numel(), 0)


def _unbind(tensor: Tensor) -> Tensor:
    parts = [part.reshape(-1) for part in tensor.unbind()]
    return torch.cat(parts) if parts else torch.empty(0, dtype=tensor.dtype)


def flat(tensor: Tensor) -> Tensor:
    """A tensor's elements in memory order where they are dense, so that no copy is made."""
    order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    return tensor.permute(order).reshape(-1)


def _measure_cpu(values: Tensor) -> Sketch:
    if values.dtype in _EXACT_IN_FLOAT32:
        return scan_float32(values.float().resolve_neg().contiguous().numpy())
    # float64 and integers: moments from float64, bins from the nearest float32
    return _measure_float64(values.double().resolve_neg().numpy())


def scan_float32(x: Float32) -> Sketch:
    """Sketch of a contiguous float32 array by the fast kernels: [n], n >= 1."""
    counts = np.zeros(BINS, dtype=np.int64)
    row = rows.new(1)[0]
    pointers.scan(x.ctypes.data, x.size, counts, row)
    return Sketch(rows.summary(row), Histogram(counts))


def count_float32(bits: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
    """Add the histogram of float32 bit patterns: [n], n >= 1, to counts [4096]."""
    if bits.size < kernels.MANY:
        kernels.count_few(bits, counts)
    else:
        pointers.scan(bits.ctypes.data, bits.size, counts, rows.new(1)[0])


def _measure_float64(x: Float64) -> Sketch:
    finite = x[np.isfinite(x)]
    nan = int(np.isnan(x).sum())
    summary = Summary(
        x.size, math.nan, math.nan, math.nan, math.nan, 0, nan, x.size - finite.size - nan
    )
    if finite.size:
        size = max(abs(float(finite.min())), abs(float(finite.max())))
        safe = size == 0.0 or _SQUARE_SAFE[0] < size < _SQUARE_SAFE[1]
        power = 0 if safe else math.frexp(size)[1]
        scaled = np.ldexp(finite, -power)
        mean = float(scaled.mean())
        std = math.sqrt(float(np.square(scaled - mean).mean()))
        summary = Summary(
            count=x.size,
            mean=math.ldexp(mean, power),
            std=math.ldexp(std, power),
            min=float(finite.min()),
            max=float(finite.max()),
            zeros=int((finite == 0).sum()),
            nan=nan,
            inf=summary.inf,
        )
    return Sketch(summary, Histogram.of(_nearest_float32(x)))


def _nearest_float32(
    x: Float64,
) -> Float32:
    """Round to float32 without turning a finite number into an infinity or into zero."""
    inside = np.where(np.isfinite(x), np.clip(x, -FLOAT32_MAX, FLOAT32_MAX), x)
    small = (inside != 0) & (np.abs(inside) < FLOAT32_TINY)
    return np.where(small, np.copysign(FLOAT32_TINY, inside), inside).astype(np.float32)
