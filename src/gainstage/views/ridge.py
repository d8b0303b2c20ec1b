"""What a ridge is: one histogram on a signed-log axis that several share.

The bins of a recording are the top bits of the floats: eight to the octave. A ridge merges whole
bins (so its counts are exact) into 1, 2, 4 or 8 an octave, whatever keeps it under about 80
points, on one axis for all ridges of a picture. The axis is ``sign(x) * (log2|x| - log2(floor))``;
everything nearer to zero than the floor falls into the middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gainstage.records import Kind
from gainstage.sketch import Histogram
from gainstage.views.view import Floats, Numbers, number, numbers

_POINTS = 80
_FINEST = 8  # bins an octave in a Histogram
_ONE = 127 * _FINEST  # index of the bin of 1.0
_TAIL = 0.01  # share of the non-zero elements that may fall below the floor

RIDGE_KINDS: tuple[tuple[Kind, str], ...] = (
    ("output", "Outputs"),
    ("output_grad", "Gradients of the outputs"),
    ("weight", "Weights"),
    ("grad", "Gradients of the weights"),
    ("update", "Updates"),
)
"""The kinds of sites that have histograms, and their titles."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """The spread of one site over some steps.

    Attributes:
        name: the site.
        density: share of the finite elements per octave in each bin of the axis; the middle
            bin, which has no width, is None.
        zeros: share of exact zeros and of what lies below the floor.
        total: number of finite elements counted.
        quantiles: 1 %, 50 % and 99 % in the tensor's own unit.
    """

    name: str
    density: Numbers
    zeros: float
    total: int
    quantiles: Numbers


@dataclass(frozen=True, slots=True)
class RidgeAxis:
    """The signed-log axis of some ridges.

    Attributes:
        x: middle of each bin, 0 in the middle.
        ticks: positions of the labels.
        labels: the values there.
    """

    x: Numbers
    ticks: Numbers
    labels: tuple[str, ...]


def on_one_axis(
    named: Sequence[tuple[str, Histogram]],
) -> tuple[RidgeAxis, tuple[Ridge, ...]]:
    """Ridges of histograms that hold at least one finite element each, and their common axis.

    Args:
        named: names and histograms, in the order of the ridges.
    """
    low, high, fineness = _axis([histogram for _, histogram in named])
    edges = _edges(low, high, fineness)
    side = (edges[1:] + edges[:-1]) / 2
    exponents = _ticks(low, high)
    places = [e * math.log2(10) - low for e in exponents]
    axis = RidgeAxis(
        x=numbers(np.concatenate([-side[::-1], [0.0], side])),
        ticks=numbers([-p for p in reversed(places)] + [0.0] + places),
        labels=(
            *(f"-1e{e}" for e in reversed(exponents)),
            "0",
            *(f"1e{e}" for e in exponents),
        ),
    )
    return axis, tuple(_ridge(name, h, low, high, fineness) for name, h in named)


def holds_any(histogram: Histogram) -> bool:
    """Whether there is a finite element in it."""
    return bool(_finite(histogram).sum())


def _edges(low: int, high: int, fineness: int) -> Floats:
    """Edges of one side's bins in octaves above the floor; they narrow within an octave."""
    inside = np.log2(1 + np.arange(fineness) / fineness)
    octaves = np.arange(high - low)[:, None] + inside
    return np.append(octaves.ravel(), float(high - low))


def _finite(histogram: Histogram) -> Floats:
    """Counts of the finite bins by magnitude, both signs together: float64 [2040]."""
    counts = histogram.counts.astype(np.float64)
    half = len(counts) // 2
    both = counts[:half] + counts[half:]
    return np.asarray(both[: 255 * _FINEST])


def _axis(histograms: list[Histogram]) -> tuple[int, int, int]:
    """Lowest and highest power of two of the axis, and bins an octave."""
    total = np.zeros(255 * _FINEST)
    for histogram in histograms:
        counts = _finite(histogram)
        counts[0] = 0.0  # exact zeros
        total += counts / max(counts.sum(), 1.0)
    used = np.flatnonzero(total)
    if not len(used):
        return -1, 0, _FINEST
    top = (int(used[-1]) - _ONE) // _FINEST + 1
    reach = np.cumsum(total) / total.sum()
    bottom = (int(np.searchsorted(reach, _TAIL)) - _ONE) // _FINEST
    bottom = max(min(bottom, top - 1), top - (_POINTS - 2) // 2, -127)
    room = (_POINTS - 1) // (2 * (top - bottom))
    return bottom, top, max(f for f in (1, 2, 4, 8) if f <= max(room, 1))


def _ticks(low: int, high: int) -> list[int]:
    """Powers of ten inside the axis, about four a side, none too near to the middle."""
    first = math.ceil((low + 0.12 * (high - low)) * math.log10(2))
    last = math.floor(high * math.log10(2))
    stride = max(1, math.ceil((last - first + 1) / 4))
    return list(range(last, first - 1, -stride))[::-1]


def _ridge(name: str, histogram: Histogram, low: int, high: int, fineness: int) -> Ridge:
    half = len(histogram.counts) // 2
    finite = 255 * _FINEST
    positive = histogram.counts[:finite].astype(np.float64)
    negative = histogram.counts[half : half + finite].astype(np.float64)
    first, last = _ONE + low * _FINEST, _ONE + high * _FINEST
    width = _FINEST // fineness
    sides = [side[first:last].reshape(-1, width).sum(axis=1) for side in (negative, positive)]
    middle = positive[:first].sum() + negative[:first].sum()
    total = positive.sum() + negative.sum()
    widths = np.diff(_edges(low, high, fineness)) * total
    density = np.concatenate([(sides[0] / widths)[::-1], [np.nan], sides[1] / widths])
    return Ridge(
        name=name,
        density=numbers(density, 4),
        zeros=number(middle / total) or 0.0,
        total=int(total),
        quantiles=numbers(histogram.quantile([0.01, 0.5, 0.99]), 4),
    )
