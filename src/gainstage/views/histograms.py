"""Histogram ridges over depth: how the values of every stage are spread, on a signed-log axis.

The bins of a recording are the top bits of the floats: eight to the octave. A ridge merges whole
bins (so its counts are exact) into 1, 2, 4 or 8 an octave, whatever keeps it under about 80
points, on one axis for all stages of a kind. The axis is ``sign(x) * (log2|x| - log2(floor))``;
everything nearer to zero than the floor falls into the middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gainstage.recording import Recording
from gainstage.records import Kind
from gainstage.sketch import Histogram
from gainstage.views.view import Floats, Numbers, by_name, number, numbers, view

_POINTS = 80
_MOST_RIDGES = 120
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("output", "Outputs"),
    ("output_grad", "Gradients of the outputs"),
    ("weight", "Weights"),
    ("grad", "Gradients of the weights"),
    ("update", "Updates"),
)
_FINEST = 8  # bins an octave in a Histogram
_ONE = 127 * _FINEST  # index of the bin of 1.0
_TAIL = 0.01  # share of the non-zero elements that may fall below the floor


@dataclass(frozen=True, slots=True)
class Ridge:
    """The spread of one site.

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
class RidgeGroup:
    """All ridges of one kind of site on a common axis.

    Attributes:
        kind: of the sites.
        title: for people.
        x: middle of each bin on the signed-log axis, 0 in the middle.
        ticks: positions of the labels.
        labels: the values there.
        ridges: in forward order.
        left_out: number of sites that were left out to keep the chart readable.
    """

    kind: Kind
    title: str
    x: Numbers
    ticks: Numbers
    labels: tuple[str, ...]
    ridges: tuple[Ridge, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Ridges:
    """The ridge groups that have a ridge.

    Attributes:
        choices: kind and title of each group that there may be.
        groups: all of them, or the one that was asked for.
    """

    choices: tuple[tuple[str, str], ...]
    groups: tuple[RidgeGroup, ...]


@view("histograms")
def ridges(
    recording: Recording, *, start: int = 0, stop: int | None = None, only: str | None = None
) -> Ridges:
    """Ridges over depth for every kind of site with histograms.

    Args:
        recording: the run.
        start: first step.
        stop: one past the last step; None for the end of the run.
        only: the one kind that is wanted; the first that there is if it is unknown; None for all.
    """
    there = [(kind, title) for kind, title in _KINDS if recording.of_kind(kind)]
    asked = [pair for pair in there if pair[0] == only] or there[:1]
    wanted = there if only is None else asked
    made = (_group(recording, kind, title, start, stop) for kind, title in wanted)
    groups = tuple(group for group in made if group is not None)
    known = [(group.kind, group.title) for group in groups]
    return Ridges(tuple(known if only is None else there), groups)


def _group(
    recording: Recording, kind: Kind, title: str, start: int, stop: int | None
) -> RidgeGroup | None:
    sites = by_name(recording, kind)
    names = list(sites)
    if len(names) > _MOST_RIDGES:
        picked = np.linspace(0, len(names) - 1, _MOST_RIDGES).round().astype(int)
        names = [names[i] for i in picked]
    read = {name: recording.histogram(sites[name], start, stop) for name in names}
    found = {name: histogram for name, histogram in read.items() if _finite(histogram).sum()}
    if not found:
        return None
    low, high, fineness = _axis(list(found.values()))
    edges = _edges(low, high, fineness)
    side = (edges[1:] + edges[:-1]) / 2
    tick_exponents = _ticks(low, high)
    places = [e * math.log2(10) - low for e in tick_exponents]
    return RidgeGroup(
        kind=kind,
        title=title,
        x=numbers(np.concatenate([-side[::-1], [0.0], side])),
        ticks=numbers([-p for p in reversed(places)] + [0.0] + places),
        labels=tuple(
            [f"-1e{e}" for e in reversed(tick_exponents)]
            + ["0"]
            + [f"1e{e}" for e in tick_exponents]
        ),
        ridges=tuple(_ridge(name, h, low, high, fineness) for name, h in found.items()),
        left_out=len(sites) - len(names),
    )


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
