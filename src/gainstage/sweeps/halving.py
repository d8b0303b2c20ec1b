"""Successive halving (Jamieson & Talwalkar 2016): what does badly early is ended early."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from gainstage.sweeps.space import Point

FEWEST: Final = 10
"""Steps of the shortest rung: less tells nothing."""


def rungs(steps: int, eta: int, count: int) -> tuple[int, ...]:
    """How long trainings are at each stage, ascending; the last are whole.

    Args:
        steps: of a whole training.
        eta: one of so many goes on to the next rung, which is so many times as long; 1 for no
            halving.
        count: combinations at the start.

    Example:
        >>> rungs(900, 3, 18), rungs(900, 1, 18), rungs(12, 3, 18)
        ((100, 300, 900), (900,), (12,))
    """
    found = [steps]
    while eta > 1 and count // eta > 1 and found[0] // eta >= FEWEST:
        found.insert(0, found[0] // eta)
        count //= eta
    return tuple(found)


def survivors(losses: Mapping[Point, Sequence[float]], eta: int) -> list[Point]:
    """The best of some combinations by their mean loss, those that failed left out.

    Args:
        losses: of each combination, one a seed.
        eta: one of so many is kept, at least one.

    Example:
        >>> a, b, c = ((("lr", x),) for x in (0.1, 1.0, 10.0))
        >>> survivors({a: [2.0, 2.2], b: [1.0, 1.2], c: [math.inf, 0.5]}, 3) == [b]
        True
    """
    means = {point: float(np.mean(values)) for point, values in losses.items()}
    sound = sorted((point for point in means if math.isfinite(means[point])), key=means.__getitem__)
    kept = set(sound[: max(1, math.ceil(len(means) / eta))])
    return [point for point in losses if point in kept]
