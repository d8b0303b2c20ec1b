"""One call before a step and one after it, for all parameters of an optimiser together.

The table has a line a parameter. Weights and gradients are copied before the step, so the update
is exact: after minus before, element by element.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from gainstage.sketch.compile import jit
from gainstage.sketch.kernels import MOMENTS, Bits, Floats, moments
from gainstage.sketch.pointers import address, gather

WEIGHT: Final = 0
"""Column of a parameter's address."""
GRAD: Final = 1
"""Column of its gradient's address; 0 if it has none."""
SIZE: Final = 2
"""Column of its number of elements, at least 1."""
PLACE: Final = 3
"""Column of where it begins in the buffers of kept weights and gradients."""
LINE: Final = 4
"""Column of its line in the directions and in the results."""
COLUMNS: Final = 5

NUMBERS: Final = MOMENTS + 1
"""Moments, then the cosine with the step before; NaN where there is none."""

ALIGNED: Final = 1024
"""About so many elements, always the same, are compared in direction with the step before."""
ROOM: Final = 2 * ALIGNED
"""What may be needed for them: whole cache lines are taken."""

Table = NDArray[np.int64]
Moments = NDArray[np.float64]


@jit()
def _cosine(now: Floats, last: Floats, m: int) -> float:  # pragma: no cover
    """Cosine of two samples; NaN if either is zero. The newer one takes the older one's place."""
    dot = 0.0
    a = 0.0
    b = 0.0
    for i in range(m):
        x = np.float64(now[i])
        y = np.float64(last[i])
        dot += x * y
        a += x * x
        b += y * y
        last[i] = now[i]
    return dot / np.sqrt(a * b) if a > 0 and b > 0 else np.nan


@jit()
def _followed(pointer: int, n: int, out: Floats) -> int:  # pragma: no cover
    """The elements whose direction is followed; how many they are."""
    return gather(pointer, n, max(n // ALIGNED, 1), 0, out.view(np.uint32))


@jit()
def before_step(  # pragma: no cover
    table: Table, weights: Bits, grads: Bits, directions: NDArray[np.float32], out: Moments
) -> None:
    """Moments of weights and gradients, and copies of both for :func:`after_step`.

    Args:
        table: int64 [parameters of this step, COLUMNS].
        weights: uint32 [room], gets the weights.
        grads: uint32 [room], gets the gradients.
        directions: float32 [lines, 4, ROOM]: the last gradient and the last update (zero at
            first), the weight before the step, scratch.
        out: float64 [lines, 3, NUMBERS]: of weight, gradient and update.
    """
    for p in range(table.shape[0]):
        n, place, line = table[p, SIZE], table[p, PLACE], table[p, LINE]
        kept = weights[place : place + n]
        kept[:] = carray(address(table[p, WEIGHT]), n)
        moments(kept.view(np.float32), kept, out[line, 0])
        out[line, 0, MOMENTS] = np.nan
        _followed(table[p, WEIGHT], n, directions[line, 2])
        out[line, 1, :] = np.nan
        if table[p, GRAD] != 0:
            grad = grads[place : place + n]
            grad[:] = carray(address(table[p, GRAD]), n)
            moments(grad.view(np.float32), grad, out[line, 1])
            m = _followed(table[p, GRAD], n, directions[line, 3])
            out[line, 1, MOMENTS] = _cosine(directions[line, 3], directions[line, 0], m)


@jit()
def after_step(  # pragma: no cover
    table: Table, weights: Bits, grads: Bits, directions: NDArray[np.float32], out: Moments
) -> float:
    """Moments of the exact updates; the arguments are those of :func:`before_step`.

    Returns:
        The first-order change of the loss: gradient times update, summed.
    """
    predicted = 0.0
    for p in range(table.shape[0]):
        n, place, line = table[p, SIZE], table[p, PLACE], table[p, LINE]
        kept = weights[place : place + n]
        change = kept.view(np.float32)
        _subtract(carray(address(table[p, WEIGHT]), n).view(np.float32), change)
        moments(change, kept, out[line, 2])
        if table[p, GRAD] != 0:
            predicted += _dot(change, grads[place : place + n].view(np.float32))
        m = _followed(table[p, WEIGHT], n, directions[line, 3])
        for i in range(m):
            directions[line, 3, i] -= directions[line, 2, i]
        out[line, 2, MOMENTS] = _cosine(directions[line, 3], directions[line, 1], m)
    return predicted


@jit()
def _subtract(now: Floats, kept: Floats) -> None:  # pragma: no cover
    """Turn kept elements into their change."""
    for i in range(now.size):
        kept[i] = now[i] - kept[i]


@jit(fastmath={"reassoc", "contract", "nsz"})
def _dot(a: Floats, b: Floats) -> float:  # pragma: no cover
    total = 0.0
    for i in range(a.size):
        total += np.float64(a[i]) * np.float64(b[i])
    return total
