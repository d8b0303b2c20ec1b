"""A reading by plain torch operations that a compiler can trace, on any device.

Nothing is brought to the processor and nothing depends on the values, so it neither waits for a
device nor breaks a graph. The numbers are those of the kernels up to the order of summation.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from gainstage.sketch import rows

_WITHOUT_FLOAT64: Final = frozenset({"mps"})
"""Kinds of device that know no float64; their sums are of float32."""


def wide_dtype(device: torch.device) -> torch.dtype:
    """The widest floating-point type of a device."""
    return torch.float32 if device.type in _WITHOUT_FLOAT64 else torch.float64


def row_of(tensor: Tensor) -> Tensor:
    """Read a tensor into a row: [rows.WIDTH], on its device.

    Args:
        tensor: floating-point and dense, of one element or more; every element is read.

    Example:
        >>> row = row_of(torch.tensor([1.0, -1.0, 0.0, float("nan")]))
        >>> found = rows.summary(row.numpy())
        >>> found.nan, found.zero_share, round(found.rms, 4)
        (1, 0.25, 0.8165)
    """
    dtype = wide_dtype(tensor.device)
    wide = tensor.detach().to(dtype)
    finite = torch.isfinite(wide)
    n = finite.sum(dtype=dtype)
    mean = torch.where(finite, wide, 0.0).sum() / n.clamp(min=1.0)
    count = number(tensor.numel(), dtype, tensor.device)
    nan = torch.isnan(wide).sum(dtype=dtype)
    return torch.stack(
        [
            count,
            mean,
            torch.where(finite, (wide - mean).square(), 0.0).sum(),
            torch.where(finite, wide, math.inf).amin(),
            torch.where(finite, wide, -math.inf).amax(),
            (wide == 0).sum(dtype=dtype),
            nan,
            count - n - nan,
            count,
            torch.zeros_like(count),
        ]
    )


def number(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number, or a size that the compiler keeps open, as a tensor: []."""
    return torch.zeros((), dtype=dtype, device=device).fill_(value)
