"""Which units of a layer stay silent, and which stay at the limits of their activation."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from gainstage.sketch.compile import jit
from gainstage.sketch.kernels import Floats
from gainstage.sketch.pointers import address

WINDOW: Final = 32
"""Steps over which a unit must stay silent (or saturated) for every sample to count as such."""

Seen = NDArray[np.int64]
Shape = tuple[int, int, int]


@jit()
def _shows(x: Floats, i: int, low: float, high: float, alive: bool) -> bool:  # pragma: no cover
    return bool(x[i] != 0 if alive else low <= x[i] <= high)


@jit()
def look(  # pragma: no cover
    pointer: int,
    shape: Shape,
    bounds: tuple[float, float],
    when: tuple[int, int, int],
    last: Seen,
) -> float:
    """Note at which turn each unit was last seen to do what it should; share of those that do not.

    What it should: be other than zero where `bounds` is (0, 0) (NaN counts as alive), else lie
    within the bounds. A unit is looked for until one such element is found; a healthy layer
    costs a few rows, and with `rest` not even these at most steps.

    Args:
        pointer: address of float32 [samples, units, positions].
        shape: these three.
        bounds: lower and upper bound of the linear range.
        when: number of the turn; `rest`: turns for which a unit that showed itself is left
            alone (at least 1); `limit`: most elements to look at, 0 for all.
        last: int64 [units], -1 at first: the turn at which each was last seen.

    Returns:
        Share of the units that were not seen within the last WINDOW turns.
    """
    samples, units, positions = shape
    turn, rest, limit = when
    low, high = bounds
    alive = low == 0.0 and high == 0.0
    x = carray(address(pointer), samples * units * positions).view(np.float32)
    waiting = np.empty(units, dtype=np.int64)
    m = 0
    for u in range(units):
        if last[u] < 0 or turn - last[u] >= rest:
            waiting[m] = u
            m += 1
    first = (turn * 7919) % samples
    looked = 0
    for s in range(samples):
        if m == 0 or (limit and looked >= limit):
            break
        row = ((first + s) % samples) * units * positions
        k = 0
        for j in range(m):
            u = waiting[j]
            start = row + u * positions
            found = False
            for i in range(start, start + positions):
                looked += 1
                if _shows(x, i, low, high, alive):
                    found = True
                    break
            if found:
                last[u] = turn
            else:
                waiting[k] = u
                k += 1
        m = k
    silent = 0
    for u in range(units):
        silent += last[u] < 0 or turn - last[u] >= WINDOW
    return float(silent / units)


@jit()
def spreads(  # pragma: no cover
    pointer: int, shape: tuple[int, int], most: tuple[int, int]
) -> tuple[float, float, float]:
    """How much rows differ, and how much columns do, of the first part of a matrix.

    Args:
        pointer: address of float32 [rows, columns].
        shape: these two.
        most: rows and columns that are looked at, at most.

    Returns:
        The rms; the standard deviation over the rows, rms over the columns; and the other way
        round.
    """
    rows, columns = min(shape[0], most[0]), min(shape[1], most[1])
    x = carray(address(pointer), shape[0] * shape[1]).view(np.float32)
    power = 0.0
    between_columns = 0.0
    sums = np.zeros(columns)
    squares = np.zeros(columns)
    for i in range(rows):
        start = i * shape[1]
        pivot = np.float64(x[start])
        total = 0.0
        total_squares = 0.0
        for j in range(columns):
            v = np.float64(x[start + j])
            power += v * v
            total += v - pivot
            total_squares += (v - pivot) * (v - pivot)
            d = v - np.float64(x[j])
            sums[j] += d
            squares[j] += d * d
        between_columns += max(total_squares / columns - (total / columns) ** 2, 0.0)
    between_rows = 0.0
    for j in range(columns):
        between_rows += max(squares[j] / rows - (sums[j] / rows) ** 2, 0.0)
    return (
        np.sqrt(power / (rows * columns)),
        np.sqrt(between_rows / columns),
        np.sqrt(between_columns / rows),
    )


@jit()
def share_outside(pointer: int, n: int, bounds: tuple[float, float]) -> float:  # pragma: no cover
    """Share of ``float32[n]`` at an address, n >= 1, outside the bounds."""
    x = carray(address(pointer), n).view(np.float32)
    low, high = bounds
    outside = 0
    for i in range(n):
        outside += (x[i] < low) | (x[i] > high)
    return outside / n
