"""One call before a step and one after it, for all parameters of an optimiser together.

The table has a line a parameter. Weights and gradients, or their samples, are copied before the
step, so the update is exact: after minus before, element by element.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from gainstage.sketch import rows
from gainstage.sketch.compile import jit
from gainstage.sketch.kernels import Bits, Floats, moments
from gainstage.sketch.pointers import address
from gainstage.sketch.rows import Row, Rows
from gainstage.sketch.sampling import FLOAT32, LINE, finish, gather

WEIGHT: Final = 0
"""Column of a parameter's address."""
GRAD: Final = 1
"""Column of its gradient's address; 0 if it has none."""
SIZE: Final = 2
"""Column of its number of elements, at least 1."""
PLACE: Final = 3
"""Column of where it begins in the buffers of kept weights and gradients."""
NUMBER: Final = 4
"""Column of its line in the directions and in the results."""
COLUMNS: Final = 5

KINDS: Final = 3
"""A line's rows: of the weight, of the gradient, of the update."""

FOLLOWED: Final = 8
"""Lines of a tensor, always the same, whose direction is compared with the step before."""

DIRECTIONS: Final = 4
"""What is kept of those: last gradient, last update, weight before the step, scratch."""
ROOM: Final = FOLLOWED * LINE

Table = NDArray[np.int64]
Directions = NDArray[np.float32]
Cosines = NDArray[np.float64]


def room(size: int, lines: int) -> int:
    """Elements that are kept of a parameter.

    Args:
        size: its elements.
        lines: in a sample; 0 reads everything.
    """
    return min(size, lines * LINE) if lines else size


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
    return gather(pointer, n, FLOAT32, FOLLOWED, 0, out)


@jit()
def _keep(  # pragma: no cover
    pointer: int, n: int, plan: tuple[int, int], kept: Bits, out: Row
) -> int:
    """Copy a tensor or its sample, and read it; how many elements were copied."""
    whole = carray(address(pointer), n)
    lines, turn = plan
    if lines == 0 or n <= lines * LINE:
        kept[:n] = whole
        moments(kept[:n].view(np.float32), kept[:n], out)
        return n
    m = gather(pointer, n, FLOAT32, lines, turn, kept.view(np.float32))
    finish(kept[:m].view(np.float32), n, out)
    if out[rows.NAN] + out[rows.INF] > 0:
        moments(whole.view(np.float32), whole, out)
    return m


@jit()
def before_step(  # pragma: no cover
    table: Table,
    plan: tuple[int, int],
    kept: tuple[Bits, Bits],
    directions: Directions,
    out: Rows,
    cosines: Cosines,
) -> None:
    """Read weights and gradients, and keep copies of both for :func:`after_step`.

    Args:
        table: int64 [parameters of this step, COLUMNS].
        plan: lines in a sample (0 reads everything), and the number of the turn.
        kept: uint32 [room] twice: gets the weights, gets the gradients.
        directions: float32 [lines, DIRECTIONS, ROOM], zeros at first.
        out: float64 [KINDS * lines, rows.WIDTH].
        cosines: float64 [lines, 2]: of the gradient and of the update with those of the step
            before; NaN where there is none.
    """
    weights, grads = kept
    for p in range(table.shape[0]):
        n, place, line = table[p, SIZE], table[p, PLACE], table[p, NUMBER]
        _keep(table[p, WEIGHT], n, plan, weights[place:], out[KINDS * line])
        _followed(table[p, WEIGHT], n, directions[line, 2])
        cosines[line, :] = np.nan
    read_gradients(table, plan, grads, directions, out, cosines)


@jit()
def read_gradients(  # pragma: no cover
    table: Table,
    plan: tuple[int, int],
    kept: Bits,
    directions: Directions,
    out: Rows,
    cosines: Cosines,
) -> None:
    """Read gradients, where there are any, as :func:`before_step` does; `kept` gets them."""
    for p in range(table.shape[0]):
        if table[p, GRAD] == 0:
            continue
        n, place, line = table[p, SIZE], table[p, PLACE], table[p, NUMBER]
        _keep(table[p, GRAD], n, plan, kept[place:], out[KINDS * line + 1])
        m = _followed(table[p, GRAD], n, directions[line, 3])
        cosines[line, 0] = _cosine(directions[line, 3], directions[line, 0], m)


@jit()
def after_step(  # pragma: no cover
    table: Table,
    plan: tuple[int, int],
    kept: tuple[Bits, Bits],
    directions: Directions,
    out: Rows,
    cosines: Cosines,
) -> float:
    """Read the exact updates; the arguments are those of :func:`before_step`.

    The kept weights become the updates.

    Returns:
        The first-order change of the loss: gradient times update, summed; estimated from the
        sample where there is one.
    """
    weights, grads = kept
    lines, turn = plan
    predicted = 0.0
    now = np.empty(max(lines, 1) * LINE, dtype=np.float32)
    for p in range(table.shape[0]):
        n, place, line = table[p, SIZE], table[p, PLACE], table[p, NUMBER]
        row = out[KINDS * line + 2]
        if lines == 0 or n <= lines * LINE:
            m = n
            change = weights[place : place + m].view(np.float32)
            _subtract(carray(address(table[p, WEIGHT]), n).view(np.float32), change)
            moments(change, weights[place : place + m], row)
        else:
            m = gather(table[p, WEIGHT], n, FLOAT32, lines, turn, now)
            change = weights[place : place + m].view(np.float32)
            _subtract(now[:m], change)
            finish(change, n, row)
        if table[p, GRAD] != 0:
            predicted += _dot(change, grads[place : place + m].view(np.float32)) * (n / m)
        m = _followed(table[p, WEIGHT], n, directions[line, 3])
        for i in range(m):
            directions[line, 3, i] -= directions[line, 2, i]
        cosines[line, 1] = _cosine(directions[line, 3], directions[line, 1], m)
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
