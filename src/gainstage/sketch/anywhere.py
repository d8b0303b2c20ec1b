"""The same sketch by plain torch operations: for every device, and the check on the kernels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gainstage.sketch.histogram import BINS, FLOAT32_MAX, FLOAT32_TINY, SHIFT, Histogram
from gainstage.sketch.sketch import Sketch
from gainstage.sketch.summary import Summary


def measure_anywhere(values: Tensor) -> Sketch:
    """The same sketch by plain torch ops, for any device: [n], n >= 1, real, dense.

    One transfer of 4096 counts and a few sums at the end.
    """
    wide = values.double()
    finite = torch.isfinite(wide)
    n = finite.sum()
    inside = torch.where(finite, wide, torch.zeros((), dtype=wide.dtype, device=wide.device))
    low = torch.where(finite, wide, torch.full_like(wide, math.inf)).min()
    high = torch.where(finite, wide, torch.full_like(wide, -math.inf)).max()
    size = _size(low, high) if values.dtype == torch.float64 else torch.ones_like(low)
    scaled = inside / size
    mean = scaled.sum() / n
    variance = torch.where(finite, (scaled - mean).square(), torch.zeros_like(inside)).sum() / n
    zeros = (wide == 0).sum()
    nan = torch.isnan(wide).sum()
    narrow = nearest_float32(wide)
    bins = (narrow.contiguous().view(torch.int32) >> SHIFT) & (BINS - 1)
    counts = torch.bincount(bins, minlength=BINS).cpu().numpy()
    std = variance.sqrt() * size
    found = torch.stack([t.double() for t in (n, mean * size, std, low, high, zeros, nan)]).tolist()
    some = found[0] > 0
    summary = Summary(
        count=values.numel(),
        mean=found[1] if some else math.nan,
        std=found[2] if some else math.nan,
        min=found[3] if some else math.nan,
        max=found[4] if some else math.nan,
        zeros=int(found[5]),
        nan=int(found[6]),
        inf=int(values.numel() - found[0] - found[6]),
    )
    return Sketch(summary, Histogram(counts))


def nearest_float32(values: Tensor) -> Tensor:
    """As float32, without turning a finite float64 into an infinity or into zero.

    Example:
        >>> nearest_float32(torch.tensor([1e300, -1e-300, 0.0, math.inf], dtype=torch.float64))
        tensor([ 3.4028e+38, -1.4013e-45,  0.0000e+00,         inf])
    """
    if values.dtype != torch.float64:
        return values.float()
    near = values.clamp(-FLOAT32_MAX, FLOAT32_MAX)
    near = torch.where(torch.isfinite(values), near, values)
    tiny = torch.copysign(torch.full_like(near, FLOAT32_TINY), near)
    return torch.where((near != 0) & (near.abs() < FLOAT32_TINY), tiny, near).float()


def _size(low: Tensor, high: Tensor) -> Tensor:
    """The largest absolute value, by which float64 is divided before it is squared; never zero."""
    size = torch.maximum(low.abs(), high.abs())
    return torch.where(size == 0, torch.ones_like(size), size)
