"""What every view needs: the registry, and the way from arrays of numbers to plain lists.

A view is a function from a :class:`~gainstage.recording.Recording` to a frozen dataclass of
strings, numbers, None and tuples of them: chart data that JSON can hold. A number that was not
measured, or is not finite, is None there; what None means is said by a flag beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from gainstage.recording import Recording, Values
from gainstage.records import Kind, Site
from gainstage.registry import Registry

View = Callable[[Recording], Any]
"""A view; further parameters must have defaults."""

V = TypeVar("V", bound=Callable[..., Any])

VIEWS: Registry[View] = Registry("view", "gainstage.views")
"""All views by name; the web page finds its data under the same names."""

Numbers = tuple[float | None, ...]
"""A row of chart data; None where there is no finite number."""

Reduction = Literal["mean", "min", "max"]

Floats = NDArray[np.float64]

_EXACT: Final = 22
"""Powers of ten up to this one are floats without an error."""


def view(name: str) -> Callable[[V], V]:
    """Return a decorator that files a view under `name` and returns it unchanged."""

    def decorate(function: V) -> V:
        VIEWS.register(name)(function)
        return function

    return decorate


def number(value: float, digits: int = 6) -> float | None:
    """A finite number rounded to `digits` significant digits; None for NaN and infinities.

    Example:
        >>> number(0.123456789), number(float("nan")), number(2.0)
        (0.123457, None, 2.0)
    """
    return float(f"{float(value):.{digits}g}") if math.isfinite(value) else None


def numbers(values: NDArray[Any] | Sequence[float], digits: int = 6) -> Numbers:
    """A row of :func:`number`.

    Example:
        >>> numbers([1.0, float("inf")])
        (1.0, None)
    """
    wide = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        power = digits - 1 - np.floor(np.log10(np.abs(wide)))
        up, down = 10.0 ** np.maximum(power, 0), 10.0 ** np.maximum(-power, 0)
        rounded = np.round(wide * up / down) / up * down
    plain = rounded.tolist()
    for i in np.flatnonzero(~(np.abs(power) <= _EXACT)).tolist():
        plain[i] = number(wide[i], digits)
    return tuple(plain)


def decibels(rms: NDArray[Any]) -> Floats:
    """Levels ``20 log10(rms)``: -inf for a silent signal (rms 0), NaN where not measured.

    Example:
        >>> decibels(np.array([1.0, 0.1, 0.0])).tolist()
        [0.0, -20.0, -inf]
    """
    wide = np.asarray(rms, dtype=np.float64)
    wide = np.where(np.isfinite(wide), wide, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(20.0 * np.log10(wide))


def measured_level(recording: Recording, site: Site | None) -> Floats:
    """Level of a site at every step in dB: float64 [T]; all NaN without a site."""
    if site is None:
        return np.full(len(recording.steps), np.nan)
    return decibels(recording.values(site, "rms"))


def between(
    steps: NDArray[np.int64], step: int | None, start: int | None, stop: int | None
) -> NDArray[np.bool_]:
    """Which entries are read: the nearest to one step, or all of a range: [T].

    Args:
        steps: of a recording.
        step: the one step; None for the range.
        start: first step of the range; None for the first recorded.
        stop: last step of the range (included); None for the last recorded.

    Example:
        >>> between(np.array([0, 10, 20]), 12, None, None).tolist()
        [False, True, False]
    """
    if step is not None and len(steps):
        nearest = int(np.argmin(np.abs(steps - step)))
        return np.asarray(np.arange(len(steps)) == nearest)
    low = -math.inf if start is None else start
    high = math.inf if stop is None else stop
    return np.asarray((steps >= low) & (steps <= high))


def by_name(recording: Recording, kind: Kind) -> dict[str, Site]:
    """The sites of one kind by name, in forward order; the first of a name counts."""
    found: dict[str, Site] = {}
    for site in recording.of_kind(kind):
        found.setdefault(site.name, site)
    return found


def median(values: Floats) -> float:
    """Median of what was measured (-inf counts, NaN does not); NaN if nothing was.

    Of an even number it is the lower middle, so that it stays a level that occurred.
    """
    known = np.sort(values[~np.isnan(values)])
    return float(known[(len(known) - 1) // 2]) if len(known) else math.nan


@dataclass(frozen=True, slots=True)
class Columns:
    """Consecutive recorded steps gathered into at most so many columns.

    Attributes:
        first: first step of each column: [C].
        last: last step of each column: [C].
        starts: where each column begins in the recording's steps: [C].
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    starts: NDArray[np.int64]

    def reduce(self, values: Floats | Values, how: Reduction) -> Floats:
        """One number a column: the mean, min or max of its finite values, NaN if none: [C]."""
        wide = np.asarray(values, dtype=np.float64)
        finite = np.isfinite(wide)
        if not len(self.starts):
            return np.empty(0)
        count = np.add.reduceat(finite.astype(np.float64), self.starts)
        if how == "mean":
            total = np.add.reduceat(np.where(finite, wide, 0.0), self.starts)
            return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
        outside = np.inf if how == "min" else -np.inf
        extreme = np.minimum if how == "min" else np.maximum
        found = extreme.reduceat(np.where(finite, wide, outside), self.starts)
        return np.where(count > 0, found, np.nan)

    def any(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether any step of each column is flagged: [C]."""
        if not len(self.starts):
            return np.empty(0, dtype=np.bool_)
        return np.asarray(np.logical_or.reduceat(flags, self.starts))


def columns(steps: NDArray[np.int64], limit: int, ends: NDArray[np.int64] | None = None) -> Columns:
    """Gather steps into at most `limit` columns of nearly the same number of steps.

    Args:
        steps: of a recording.
        limit: at most this many columns.
        ends: the last step that each of them stands for; itself by default.

    Example:
        >>> c = columns(np.arange(5), 2)
        >>> c.first, c.last
        ((0, 2), (1, 4))
    """
    count = min(len(steps), max(limit, 1))
    starts = np.arange(count, dtype=np.int64) * len(steps) // max(count, 1)
    finals = np.append(starts[1:], len(steps))[:count] - 1
    last = steps if ends is None else ends
    return Columns(tuple(steps[starts].tolist()), tuple(last[finals].tolist()), starts)
