"""What is swept over: axes with their values, and all their combinations."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from gainstage.errors import UsageError

Value: TypeAlias = float | int | str | bool | None
Point: TypeAlias = tuple[tuple[str, Value], ...]
"""One value for each axis, by name."""

A_DECADE: Final = 2
"""Values of a range for each power of ten, unless it says how many."""

_MOST: Final = 10_000
"""Combinations beyond which a sweep is a mistake."""

_RESERVED: Final = ("seed", "steps")


@dataclass(frozen=True, slots=True)
class Axis:
    """A name and the values that it takes.

    Attributes:
        name: the keyword that the function takes, or what is changed in a script.
        values: at least one, each once.
    """

    name: str
    values: tuple[Value, ...]

    @property
    def is_logarithmic(self) -> bool:
        """Whether the values are positive numbers, so that ratios of them mean something."""
        numbers = [v for v in self.values if isinstance(v, (int, float)) and v > 0]
        return len(numbers) == len(self.values) > 1


def axis(name: str, values: str | Value | Iterable[Value]) -> Axis:
    """An axis from its values, or from how they are written.

    Args:
        name: of the axis.
        values: the values; or a text: ``"0.1,0.01"`` lists them, ``"1e-4..1"`` is a range of
            powers with two values a decade, ``"1e-4..1:5"`` one with five in all.

    Raises:
        UsageError: there are no values, a value is there twice, or a range makes no sense.

    Example:
        >>> axis("lr", "1e-3..1:4").values
        (0.001, 0.01, 0.1, 1.0)
        >>> axis("init", "kaiming_normal,xavier_uniform").values
        ('kaiming_normal', 'xavier_uniform')
    """
    if isinstance(values, str):
        found = _range(name, values) if ".." in values else _listed(values)
    elif isinstance(values, Iterable):
        found = tuple(values)
    else:
        found = (values,)
    if not found:
        msg = f"The axis {name!r} has no values: write {name}=0.1,0.01 or {name}=1e-4..1."
        raise UsageError(msg)
    if len(set(found)) < len(found):
        msg = f"The axis {name!r} has a value twice: {', '.join(map(str, found))}."
        raise UsageError(msg)
    if name in _RESERVED:
        msg = f"{name!r} is no axis: every combination is tried with each seed and some steps."
        raise UsageError(msg)
    return Axis(name, found)


def axes_of(space: Mapping[str, str | Value | Iterable[Value]]) -> tuple[Axis, ...]:
    """The axes of a space given as a mapping.

    Raises:
        UsageError: as :func:`axis`, or there is none.
    """
    if not space:
        msg = "A sweep needs at least one axis, for example lr=1e-4..1."
        raise UsageError(msg)
    return tuple(axis(name, values) for name, values in space.items())


def written(texts: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUES`` from a command line, by name.

    Raises:
        UsageError: there is no ``=``, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name:
            msg = f"An axis is written NAME=VALUES (lr=1e-4..1, init=a,b), and not {text!r}."
            raise UsageError(msg)
        if name in found:
            msg = f"The axis {name!r} is given twice: list all its values at once."
            raise UsageError(msg)
        found[name] = values
    return found


def points(axes: Sequence[Axis]) -> list[Point]:
    """All combinations, the last axis varying fastest.

    Raises:
        UsageError: there are more than anyone can mean.
    """
    count = math.prod(len(one.values) for one in axes)
    if count > _MOST:
        msg = f"The axes have {count:,} combinations, more than {_MOST:,}: take fewer values."
        raise UsageError(msg)
    names = [one.name for one in axes]
    return [
        tuple(zip(names, values, strict=True))
        for values in itertools.product(*(one.values for one in axes))
    ]


def told(value: Value) -> str:
    """A value as people read it.

    Example:
        >>> told(10**-2.5), told("kaiming_normal")
        ('0.00316', 'kaiming_normal')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _range(name: str, text: str) -> tuple[Value, ...]:
    ends, _, count = text.partition(":")
    low, _, high = ends.partition("..")
    try:
        first, last = float(low), float(high)
        decades = math.log10(last / first)
        n = int(count) if count else round(A_DECADE * decades) + 1
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        first, last, n = -1.0, -1.0, 0
        del error
    if not (0 < first < last < math.inf and n >= 2):
        msg = (
            f"{name}={text} is no range: it runs from a positive number to a larger one, as "
            f"{name}=1e-4..1 or, with five values, {name}=1e-4..1:5."
        )
        raise UsageError(msg)
    return tuple(float(f"{x:.6g}") for x in np.geomspace(first, last, n))


def _listed(text: str) -> tuple[Value, ...]:
    return tuple(_value(part.strip()) for part in text.split(",") if part.strip())


def _value(text: str) -> Value:
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text)
    return text
