"""Which part of a tensor is read when it is sampled, and what can be said of the rest.

A sample is made of lines, short runs of whole cache lines, for these are what the processor
fetches anyway. Their places follow the golden ratio through the tensor, so they are spread evenly
whatever its shape (a fixed stride would meet the same columns of a matrix again and again), and
the next step goes on where this one ended: all lines have had their turn before the first is read
again.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from gainstage.sketch import rows
from gainstage.sketch.compile import jit
from gainstage.sketch.histogram import FLOAT32_MAX, FLOAT32_TINY
from gainstage.sketch.kernels import Counts, Floats, count_few, moments
from gainstage.sketch.pointers import address
from gainstage.sketch.rows import Row, Rows

CACHE_LINE: Final = 16
"""Float32 that the processor fetches together."""

LINE: Final = 64
"""Elements that are read together: four cache lines, for the first of them costs the most."""

LINES: Final = 32
"""Lines in a sample: 2,048 elements."""

GOLDEN: Final = 0.6180339887498949

FLOAT32: Final = 1
BFLOAT16: Final = 2
FLOAT16: Final = 3
FLOAT64: Final = 4

Memory = tuple[int, int, int]

_WORD: Final = np.uint32(16)
_MAGNITUDE: Final = np.uint32(0x7FFF_FFFF)
_INFINITE: Final = np.uint32(0x7F80_0000)


@jit()
def jump(total: int) -> int:  # pragma: no cover
    """How far the next line is, of `total`: the golden section, without a common divisor."""
    step = max(int(total * GOLDEN), 1)
    while True:
        a, b = total, step
        while b:
            a, b = b, a % b
        if a == 1:
            return step
        step += 1


@jit()
def _copy(pointer: int, kind: int, start: int, stop: int, out: Floats) -> None:  # pragma: no cover
    """Elements ``start..stop`` of memory of some kind, as float32."""
    if kind == FLOAT32:
        bits = carray(address(pointer), stop)
        target = out.view(np.uint32)
        for i in range(start, stop):
            target[i - start] = bits[i]
    elif kind == FLOAT64:
        pairs = carray(address(pointer), 2 * stop).view(np.float64)
        for i in range(start, stop):
            out[i - start] = _nearest(pairs[i])
    else:
        halves = carray(address(pointer & ~3), (stop + 2) // 2 + 1).view(np.uint16)
        ahead = (pointer & 3) // 2
        target = out.view(np.uint32)
        for i in range(start, stop):
            half = np.uint32(halves[i + ahead])
            if kind == BFLOAT16:
                target[i - start] = half << _WORD
            else:
                out[i - start] = _half(half)


@jit()
def _fetch(  # pragma: no cover
    pointer: int, n: int, total: int, walk: tuple[int, int, int]
) -> np.float32:
    """Touch every cache line of a sample, so that they travel together and not one by one."""
    bits = carray(address(pointer), n)
    line, step, lines = walk
    touched = np.uint32(0)
    for _ in range(lines):
        for ahead in range(0, LINE, CACHE_LINE):
            touched ^= bits[min(line * LINE + ahead, n - 1)]
        line += step
        if line >= total:
            line -= total
    return np.float32(touched)


@jit()
def _nearest(value: float) -> np.float32:  # pragma: no cover
    """A float64 as float32: what is finite stays so, and what is not zero does as well."""
    if np.isfinite(value) and value != 0:
        value = np.copysign(min(max(abs(value), FLOAT32_TINY), FLOAT32_MAX), value)
    return np.float32(value)


@jit()
def _half(bits: np.uint32) -> np.float32:  # pragma: no cover
    """A float16 bit pattern as float32."""
    exponent = np.int64((bits >> np.uint32(10)) & np.uint32(31))
    fraction = np.float64(bits & np.uint32(1023))
    if exponent == 31:
        value = np.nan if fraction > 0 else np.inf
    elif exponent == 0:
        value = fraction * 2.0**-24
    else:
        value = (1.0 + fraction / 1024.0) * 2.0 ** (exponent - 15)
    return np.float32(-value if bits & np.uint32(0x8000) else value)


@jit()
def gather(  # pragma: no cover
    pointer: int, n: int, kind: int, lines: int, turn: int, out: Floats
) -> int:
    """Copy the sample of one turn as float32; return how many elements it has.

    Args:
        pointer: address of the tensor's first element.
        n: its elements, at least 1.
        kind: of its elements: FLOAT32, BFLOAT16, FLOAT16 or FLOAT64.
        lines: how many lines to take; if there are no more, everything is.
        turn: number of the sample; the next one continues where this one ends.
        out: float32 [LINE * lines], gets the elements.
    """
    total = (n + LINE - 1) // LINE
    if total <= lines:
        _copy(pointer, kind, 0, n, out)
        return n
    step = jump(total)
    line = (((turn * lines) % total) * step) % total
    if kind == FLOAT32:
        out[0] = _fetch(pointer, n, total, (line, step, lines))
    m = 0
    for _ in range(lines):
        start = line * LINE
        stop = min(start + LINE, n)
        if kind == FLOAT32 and stop - start == LINE:
            _move(pointer + 4 * start, out, m)
        else:
            _copy(pointer, kind, start, stop, out[m:])
        m += stop - start
        line += step
        if line >= total:
            line -= total
    return m


@jit()
def _move(pointer: int, out: Floats, place: int) -> None:  # pragma: no cover
    """Copy one whole line: a fixed count, so that it becomes a few vector moves."""
    bits = carray(address(pointer), LINE)
    target = out.view(np.uint32)
    for i in range(LINE):
        target[place + i] = bits[i]


@jit(fastmath={"reassoc", "contract", "nsz"})
def _power(x: Floats, start: int) -> float:  # pragma: no cover
    """Sum of squares of one line."""
    total = 0.0
    for i in range(LINE):
        v = np.float64(x[start + i])
        total += v * v
    return total


@jit()
def finish(x: Floats, n: int, out: Row) -> None:  # pragma: no cover
    """A sample's moments and how far the rms may be off, of a tensor of `n` elements.

    The error is that of a mean over lines drawn at random, from the lines' own spread, so it
    holds also where the elements of a line are alike.
    """
    moments(x, x.view(np.uint32), out)
    out[rows.SIZE] = n
    if x.size >= n:
        return
    m = x.size // LINE
    if m < 2 or out[rows.NAN] + out[rows.INF] > 0:
        out[rows.ERROR] = np.nan  # nothing is known of how lines differ
        return
    total = 0.0
    squares = 0.0
    for line in range(m):
        power = _power(x, line * LINE)
        total += power
        squares += power * power
    mean = total / m
    if mean > 0:
        variance = max(squares / m - mean * mean, 0.0) / (m - 1)
        out[rows.ERROR] = 0.5 * np.sqrt(variance * (1.0 - x.size / n)) / mean


@jit()
def read(  # pragma: no cover
    pointer: int,
    n: int,
    kind: int,
    plan: tuple[int, int],
    scratch: Floats,
    counts: Counts,
    out: Row,
) -> None:
    """Read a tensor by its sample.

    Where the sample holds a number that is not finite, a float32 tensor is read as a whole: its
    NaN and infinities are counted, not estimated.

    Args:
        pointer: address of the tensor's first element.
        n: its elements, at least 1.
        kind: of its elements.
        plan: how many lines, and the number of the turn, as for :func:`gather`.
        scratch: float32 [LINE * lines].
        counts: int64 [4096], the histogram is added to it; or of no element.
        out: float64 [rows.WIDTH].
    """
    m = gather(pointer, n, kind, plan[0], plan[1], scratch)
    x = scratch[:m]
    if counts.size:
        count_few(x.view(np.uint32), counts)
    finish(x, n, out)
    if kind == FLOAT32 and m < n and out[rows.NAN] + out[rows.INF] > 0:
        whole = carray(address(pointer), n)
        moments(whole.view(np.float32), whole, out)


@jit(nogil=False)  # it is over before another thread could take the lock
def grab(  # pragma: no cover
    pointer: int, n: int, kind: int, lines: int, turn: int, memory: Memory, number: int
) -> bool:
    """Copy a tensor's sample, to be read by :func:`settle`.

    Everything is given as numbers, for to hand over an array costs as much as to copy a sample.

    Args:
        pointer: address of the tensor's first element.
        n: its elements, at least 1.
        kind: of its elements.
        lines: how many lines to take, as for :func:`gather`.
        turn: number of the turn, as for :func:`gather`.
        memory: addresses of the samples, float32 [m, width], and of their sizes, int64 [m, 2];
            and `width`, at least ``LINE * lines``.
        number: which of these samples gets the elements; its sizes, how many, and `n`.

    Returns:
        Whether all of it is finite, or all of the tensor was copied: else it is to be read as a
        whole, for NaN and infinities are counted, not estimated.
    """
    samples, sizes, width = memory
    bits = carray(address(samples + 4 * width * number), width)
    m = gather(pointer, n, kind, lines, turn, bits.view(np.float32))
    found = carray(address(sizes + 16 * number), 4).view(np.int64)
    found[0] = m
    found[1] = n
    if m == n or kind != FLOAT32:
        return True
    largest = np.uint32(0)
    for i in range(m):
        largest = max(largest, bits[i] & _MAGNITUDE)
    return bool(largest < _INFINITE)


@jit(nogil=False)
def power_of(pointer: int, n: int, kind: int, lines: int) -> float:  # pragma: no cover
    """Sum of squares of the sample of the first turn; the arguments are those of :func:`gather`."""
    out = np.empty(lines * LINE, dtype=np.float32)
    m = gather(pointer, n, kind, lines, 0, out)
    total = 0.0
    for i in range(m):
        v = np.float64(out[i])
        total += v * v
    return total


@jit()
def settle(  # pragma: no cover
    samples: Floats, sizes: NDArray[np.int64], used: int, out: Rows
) -> None:
    """Read the samples that :func:`grab` copied, into rows."""
    for number in range(used):
        m = sizes[number, 0]
        if m > 0:
            finish(samples[number, :m], sizes[number, 1], out[number])
