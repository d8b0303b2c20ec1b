"""One training of a sweep: what is asked for, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from gainstage.sweeps.space import Point

_POINTS: Final = 100
"""Points of a curve that is kept."""


class Task(NamedTuple):
    """A training to be made.

    Attributes:
        point: a value for each axis.
        seed: number of the seed.
        steps: how long it is; 0 where the function decides by itself.
    """

    point: Point
    seed: int
    steps: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a training.

    Attributes:
        point: a value for each axis.
        seed: number of the seed.
        steps: how long it was asked to be; 0 where the function decides by itself.
        loss: the late loss, a median of the last tenth; infinite if it was not finite, or if the
            training failed.
        curve: (step, loss), thinned out; empty if only a number is known.
        told: why it failed; ``""`` if it did not.
        seconds: how long it took.
        attempts: how often it was begun, for its process was killed before.
        chance: loss of the best constant prediction; NaN if unknown.
    """

    point: Point
    seed: int
    steps: int
    loss: float
    curve: tuple[tuple[int, float], ...] = ()
    told: str = ""
    seconds: float = 0.0
    attempts: int = 1
    chance: float = math.nan

    @property
    def task(self) -> Task:
        """What was asked for."""
        return Task(self.point, self.seed, self.steps)


Attempt = Callable[[Task], Trial]
"""Makes a training; never raises for what the training does."""


@dataclass(frozen=True, slots=True)
class Calling:
    """Makes trials by calling a function.

    Attributes:
        function: takes the axes, ``seed`` and perhaps ``steps`` as keywords; returns a loss, or
            the losses of all steps.
        timed: it takes ``steps``.
    """

    function: Callable[..., Any]
    timed: bool

    def __call__(self, task: Task) -> Trial:
        """Make one; what the function raises is what came of it."""
        keywords: Mapping[str, Any] = dict(task.point)
        if self.timed:
            keywords = {**keywords, "steps": task.steps}
        try:
            given = self.function(**keywords, seed=task.seed)
            losses = _losses(given)
        except Exception as error:  # noqa: BLE001 - a training that fails is a result
            return Trial(*task, math.inf, told=f"{type(error).__name__}: {error}")
        return Trial(*task, late(losses), curve=thinned(losses) if len(losses) > 1 else ())


def _losses(given: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    listed = [given] if not isinstance(given, Iterable) else list(given)
    losses = np.array([float(one) for one in listed], dtype=np.float64)
    if not len(losses):
        msg = "it returned no loss"
        raise ValueError(msg)
    return losses


def late(losses: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Median of the last tenth; infinite if the last loss is not finite.

    Example:
        >>> late(np.arange(100.0)), late(np.array([1.0, np.nan]))
        (94.5, inf)
    """
    if not np.isfinite(losses[-1]):
        return math.inf
    return float(np.median(losses[-max(len(losses) // 10, 1) :]))


def thinned(losses: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[tuple[int, float], ...]:
    """Means over at most a hundred stretches, each at its last step."""
    ends = np.cumsum([len(p) for p in np.array_split(losses, min(len(losses), _POINTS))]) - 1
    parts = np.array_split(losses, min(len(losses), _POINTS))
    with np.errstate(invalid="ignore", over="ignore"):  # of infinities
        return tuple((int(end), float(part.mean())) for end, part in zip(ends, parts, strict=True))
