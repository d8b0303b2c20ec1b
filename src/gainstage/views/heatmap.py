"""Layer by step matrices: where and when a level leaves its range.

A long run is gathered into columns of equal numbers of steps. For levels and ratios a cell is the
*mean* over its steps, with the lowest and highest beside it for the label; for shares and counts
it is the *max*, because one NaN in a thousand steps is the one that matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gainstage.recording import Recording
from gainstage.records import Kind, Site
from gainstage.views.view import (
    Columns,
    Floats,
    Numbers,
    by_name,
    columns,
    decibels,
    numbers,
    view,
)

_COLUMNS = 300
_MOST_CELLS = 60_000
_FEWEST_COLUMNS = 40

Reader = Callable[[Recording, Site], Floats]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One quantity of every layer over the steps.

    Attributes:
        key: short stable name.
        title: for people.
        unit: of the cells.
        scale: ``"diverging"`` around ``centre`` or ``"sequential"`` from 0.
        centre: the value that is as it should be.
        reduced: how the steps of a column became one cell.
        layers: names of the rows, in forward order.
        cells: [row][column]; None where nothing finite was measured.
        low: lowest value in each cell; empty if every column is one step or `reduced` is "max".
        high: highest value in each cell; empty likewise.
        silent: per row the column ranges (first, one past the last) in which a cell holds an
            exact zero (a level of minus infinity) and no finite value.
    """

    key: str
    title: str
    unit: str
    scale: Literal["diverging", "sequential"]
    centre: float
    reduced: Literal["mean", "max"]
    layers: tuple[str, ...]
    cells: tuple[Numbers, ...]
    low: tuple[Numbers, ...]
    high: tuple[Numbers, ...]
    silent: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True)
class HeatMaps:
    """Heat maps that have a row.

    Attributes:
        first: first step of each column.
        last: last step of each column.
        choices: key and title of each map that there may be.
        maps: all of them, or the one that was asked for.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    choices: tuple[tuple[str, str], ...]
    maps: tuple[HeatMap, ...]


@dataclass(frozen=True, slots=True)
class _Recipe:
    key: str
    title: str
    unit: str
    kind: Kind
    read: Reader
    quantity: str = "rms"
    reduced: Literal["mean", "max"] = "mean"
    scale: Literal["diverging", "sequential"] = "sequential"
    centre: float = 0.0


def _level(recording: Recording, site: Site) -> Floats:
    return decibels(recording.values(site, "rms"))


def _pace(recording: Recording, site: Site) -> Floats:
    update = recording.site(site.name, "update")
    if update is None:
        return np.full(len(recording.steps), np.nan)
    weight = recording.values(site, "rms").astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(recording.values(update, "rms") / weight))


def _share(quantity: str) -> Reader:
    def read(recording: Recording, site: Site) -> Floats:
        return recording.values(site, quantity).astype(np.float64)

    return read


def _non_finite(recording: Recording, site: Site) -> Floats:
    nan, inf = recording.values(site, "nan"), recording.values(site, "inf")
    total = np.nan_to_num(nan, nan=0.0) + np.nan_to_num(inf, nan=0.0)
    return np.where(np.isnan(nan) & np.isnan(inf), np.nan, total).astype(np.float64)


_RECIPES = (
    _Recipe("output", "Output level", "dB", "output", _level, scale="diverging"),
    _Recipe("output_grad", "Gradient level", "dB", "output_grad", _level),
    _Recipe(
        "update_ratio", "Update : data", "log10", "weight", _pace, "rms", "mean", "diverging", -3.0
    ),
    _Recipe("weight", "Weight level", "dB", "weight", _level),
    _Recipe("grad", "Weight gradient level", "dB", "grad", _level),
    _Recipe(
        "dead_units", "Dead units", "share", "output", _share("dead_units"), "dead_units", "max"
    ),
    _Recipe(
        "saturated_units",
        "Saturated units",
        "share",
        "output",
        _share("saturated_units"),
        "saturated_units",
        "max",
    ),
    _Recipe(
        "saturated",
        "Saturated elements",
        "share",
        "output",
        _share("saturated"),
        "saturated",
        "max",
    ),
    _Recipe("non_finite", "NaN and Inf", "count", "output", _non_finite, "nan", "max"),
    _Recipe(
        "non_finite_grad", "NaN and Inf in gradients", "count", "grad", _non_finite, "nan", "max"
    ),
)


@view("heatmap")
def heat_maps(recording: Recording, *, limit: int = _COLUMNS, only: str | None = None) -> HeatMaps:
    """Every quantity that was measured, as a matrix of layers by steps.

    Args:
        recording: the run.
        limit: at most this many columns; deep networks get fewer, so that a page stays small.
        only: key of the one map that is wanted; the first that there is if it is unknown; None
            for all.
    """
    measured = [recipe for recipe in _RECIPES if _is_measured(recording, recipe)]
    asked = [recipe for recipe in measured if recipe.key == only] or measured[:1]
    rows = max((len(recording.of_kind(recipe.kind)) for recipe in measured), default=0)
    most = min(limit, max(_FEWEST_COLUMNS, _MOST_CELLS // max(rows, 1)))
    points = columns(recording.steps, most, recording.ends)
    recipes = measured if only is None else asked
    made = (_heat_map(recording, recipe, points) for recipe in recipes)
    maps = tuple(one for one in made if one is not None)
    known = {one.key for one in maps} if only is None else {recipe.key for recipe in measured}
    choices = tuple((recipe.key, recipe.title) for recipe in measured if recipe.key in known)
    return HeatMaps(points.first, points.last, choices, maps)


def _is_measured(recording: Recording, recipe: _Recipe) -> bool:
    sites = recording.of_kind(recipe.kind)
    return any(recipe.quantity in recording.quantities(site) for site in sites)


def _heat_map(recording: Recording, recipe: _Recipe, points: Columns) -> HeatMap | None:
    """The matrix of one recipe; None if none of its rows was ever measured."""
    series = {
        name: recipe.read(recording, site) for name, site in by_name(recording, recipe.kind).items()
    }
    known = {name: row for name, row in series.items() if not np.isnan(row).all()}
    if not known:
        return None
    spread = recipe.reduced == "mean" and len(points.starts) < len(recording.steps)
    reduced = {name: points.reduce(row, recipe.reduced) for name, row in known.items()}
    return HeatMap(
        key=recipe.key,
        title=recipe.title,
        unit=recipe.unit,
        scale=recipe.scale,
        centre=recipe.centre,
        reduced=recipe.reduced,
        layers=tuple(known),
        cells=tuple(numbers(row, 4) for row in reduced.values()),
        low=_matrix(known, points, "min") if spread else (),
        high=_matrix(known, points, "max") if spread else (),
        silent=tuple(
            _spans(np.isnan(reduced[name]) & points.any(np.isneginf(row)))
            for name, row in known.items()
        ),
    )


def _matrix(
    rows: dict[str, Floats], points: Columns, how: Literal["min", "max"]
) -> tuple[Numbers, ...]:
    return tuple(numbers(points.reduce(row, how), 4) for row in rows.values())


def _spans(flags: NDArray[np.bool_]) -> tuple[Span, ...]:
    """Ranges of consecutive flags: [C] to (first, one past the last) pairs."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return tuple((int(a), int(b)) for a, b in edges.reshape(-1, 2))
