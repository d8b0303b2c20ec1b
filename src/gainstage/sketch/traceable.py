"""A reading by plain torch operations that a compiler can trace, on any device.

Nothing is brought to the processor and nothing depends on the values, so it neither waits for a
device nor breaks a graph. The numbers are those of the kernels up to the order of summation.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, sym_max, sym_min

from gainstage.sketch.sampling import LINE

_WITHOUT_FLOAT64: Final = frozenset({"mps"})
"""Kinds of device that know no float64; their sums are of float32."""

_SCATTER: Final = 40_503
_ONWARD: Final = 10_007
"""Odd steps from line to line and from turn to turn, so that samples meet no pattern twice."""


def wide_dtype(device: torch.device) -> torch.dtype:
    """The widest floating-point type of a device."""
    return torch.float32 if device.type in _WITHOUT_FLOAT64 else torch.float64


def row_of(tensor: Tensor) -> Tensor:
    """Read every element of a tensor into a row: [rows.WIDTH], on its device.

    Args:
        tensor: floating-point and dense, of one element or more.

    Example:
        >>> from gainstage.sketch import rows
        >>> row = row_of(torch.tensor([1.0, -1.0, 0.0, float("nan")]))
        >>> found = rows.summary(row.numpy())
        >>> found.nan, found.zero_share, round(found.rms, 4)
        (1, 0.25, 0.8165)
    """
    dtype = wide_dtype(tensor.device)
    wide = tensor.detach().to(dtype)
    finite = torch.isfinite(wide)
    n = finite.sum(dtype=dtype)
    nan = torch.isnan(wide).sum(dtype=dtype)
    mean = torch.where(finite, wide, 0.0).sum() / n.clamp(min=1.0)
    count = number(tensor.numel(), dtype, tensor.device)
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


def sample_of(tensor: Tensor, lines: int, turn: Tensor) -> Tensor:
    """Copy a sample of a tensor's elements, which are read later: float32 [lines * LINE].

    A tensor with fewer elements comes first and whole, and what follows it means nothing.
    Whether it has fewer is not asked, for a compiler would make a graph for each answer.

    Args:
        tensor: floating-point and dense, of one element or more.
        lines: how many lines to take.
        turn: int64 [1], number of the sample; the next one takes other lines.

    Example:
        >>> sample_of(torch.ones(100, 100), 4, torch.zeros(1, dtype=torch.int64)).shape
        torch.Size([256])
    """
    device = tensor.device
    size = tensor.numel()
    total = sym_max(size // LINE, lines)  # type: ignore[no-untyped-call]  # whole lines, or as many as are taken
    part = total // lines
    line = torch.arange(lines, device=device)
    # spread evenly, each somewhere in its part; the whole moves on if there is more than is taken
    more = sym_min(total - lines, 1)  # type: ignore[no-untyped-call]
    moved = turn * _ONWARD * more
    first = (line * total // lines + (line * _SCATTER).remainder(part) + moved).remainder(total)
    places = first[:, None] * LINE + torch.arange(LINE, device=device)
    chosen = places.reshape(-1).clamp(max=size - 1)
    return tensor.detach().reshape(-1).index_select(0, chosen).to(torch.float32)


def number(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number, or a size that the compiler keeps open, as a tensor: []."""
    return torch.zeros((), dtype=dtype, device=device).fill_(value)
