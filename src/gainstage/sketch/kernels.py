"""Numba kernels over the bits of float32 memory: the fast path on the CPU.

The loops are plain on purpose, so that LLVM turns the reductions into vector code. A tensor is
walked in blocks that stay in the second-level cache, so it is read once from memory. Indexing (not
iterating) matters by a factor, measured by ``gainstage bench kernels``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.sketch import rows
from gainstage.sketch.compile import jit
from gainstage.sketch.histogram import BINS, FLOAT32_TINY, SHIFT
from gainstage.sketch.rows import Row

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bits = NDArray[np.uint32]
Counts = NDArray[np.int64]

BLOCK: Final = 32_768
"""Elements a block: 128 KiB of float32."""

MANY: Final = 65_536
"""From here on a second table of counts pays for its zeroing and folding."""

# Reordering a sum is allowed; assuming that no NaN occurs is not.
_REORDER: Final = {"reassoc", "contract", "nsz"}
_SHIFT: Final = np.uint32(SHIFT)
_BINS: Final = np.uint32(BINS)
_SIGN: Final = np.uint32(0x8000_0000)
_INFINITE: Final = np.uint32(0x7F80_0000)
_FRACTION: Final = np.uint32(0x007F_FFFF)
_UPPER: Final = np.uint64(32 + SHIFT)
_LOWER: Final = np.uint64(SHIFT)
_MASK: Final = np.uint64(BINS - 1)

TABLES: Final = 4
"""Tables among which one walk's counts are spread."""

_OFFSET: Final = 100.0
"""A squared mean that many variances large asks for sums about another pivot than zero."""


@jit(fastmath=_REORDER)
def survey(  # pragma: no cover
    x: Floats, signed: Ints, bits: Bits
) -> tuple[float, float, np.int32, np.uint32]:
    """Sum and sum of squares in float64, largest signed and largest unsigned bit pattern: [n].

    Floats order like integers within one sign, so with both signs present the patterns are those
    of the maximum and the minimum; with one sign only, :func:`lowest` is wanted for the other end.
    All four in one walk cost hardly more than the sums alone.

    Args:
        x: float32 [n], n >= 1.
        signed: the same memory as int32.
        bits: the same memory as uint32.
    """
    total = 0.0
    squares = 0.0
    top = np.int32(-(2**31))
    high = np.uint32(0)
    for i in range(x.size):
        v = np.float64(x[i])
        total += v
        squares += v * v
        top = max(top, signed[i])
        high = max(high, bits[i])
    return total, squares, top, high


@jit(fastmath=_REORDER)
def sums_about(x: Floats, pivot: float) -> tuple[float, float]:  # pragma: no cover
    """Sum and sum of squares of ``x - pivot`` in float64: x [n]."""
    total = 0.0
    squares = 0.0
    for i in range(x.size):
        d = np.float64(x[i]) - pivot
        total += d
        squares += d * d
    return total, squares


@jit()
def lowest(bits: Bits) -> np.uint32:  # pragma: no cover
    """Smallest unsigned bit pattern: the element nearest to zero, where all have one sign."""
    low = np.uint32(0xFFFF_FFFF)
    for i in range(bits.size):
        low = min(low, bits[i])
    return low


@jit()
def count_zeros(bits: Bits) -> int:  # pragma: no cover
    """Number of zeros of either sign in float32 bit patterns: [n], n < 2**32."""
    n = np.uint32(0)
    for i in range(bits.size):
        n = np.uint32(n + np.uint32((bits[i] & ~_SIGN) == 0))
    return int(n)


@jit()
def _count(bits: Bits, tables: Bits) -> None:  # pragma: no cover
    """Count four elements by two loads, into four tables: equal neighbours need not queue."""
    first = (bits.ctypes.data >> 2) & 1  # pairs begin where eight bytes do
    if first:
        tables[bits[0] >> _SHIFT] += np.uint32(1)
    n = (bits.size - first) // 4
    pairs = bits[first : first + 4 * n].view(np.uint64)
    for i in range(n):
        one, other = pairs[2 * i], pairs[2 * i + 1]
        tables[one >> _UPPER] += np.uint32(1)
        tables[((one >> _LOWER) & _MASK) + np.uint64(BINS)] += np.uint32(1)
        tables[(other >> _UPPER) + np.uint64(2 * BINS)] += np.uint32(1)
        tables[((other >> _LOWER) & _MASK) + np.uint64(3 * BINS)] += np.uint32(1)
    for i in range(first + 4 * n, bits.size):
        tables[bits[i] >> _SHIFT] += np.uint32(1)


@jit()
def count_few(bits: Bits, counts: Counts) -> None:  # pragma: no cover
    """Add the histogram of [n] bit patterns to int64 [4096] counts, by one table."""
    for i in range(bits.size):
        counts[bits[i] >> _SHIFT] += 1


@jit()
def moments(x: Floats, bits: Bits, out: Row) -> None:  # pragma: no cover
    """Read everything into a row of :mod:`gainstage.sketch.rows`.

    Those that are not finite are counted and kept out of the rest.

    Args:
        x: float32 [n], n >= 1.
        bits: the same memory as uint32.
        out: float64 [rows.WIDTH].
    """
    signed = bits.view(np.int32)
    total = 0.0
    squares = 0.0
    zeros = 0
    top = np.int32(-(2**31))
    high = np.uint32(0)
    for start in range(0, x.size, BLOCK):
        stop = min(start + BLOCK, x.size)
        s, q, t, h = survey(x[start:stop], signed[start:stop], bits[start:stop])
        total += s
        squares += q
        top = max(top, t)
        high = max(high, h)
        zeros += count_zeros(bits[start:stop])
    _conclude(x, bits, (total, squares), (top, high), zeros, out)


@jit()
def scan(x: Floats, bits: Bits, tables: Bits, counts: Counts, out: Row) -> None:  # pragma: no cover
    """:func:`moments`, and the histogram, in one walk through the memory.

    Args:
        x: float32 [n], n >= 1.
        bits: the same memory as uint32.
        tables: uint32 [TABLES * 4096], zeros, and zeros again afterwards: kept from call to call,
            for fresh memory costs more than the counting of a hundred thousand elements.
        counts: int64 [4096], added to; zero beforehand.
        out: float64 [rows.WIDTH].
    """
    signed = bits.view(np.int32)
    total = 0.0
    squares = 0.0
    top = np.int32(-(2**31))
    high = np.uint32(0)
    many = x.size >= MANY
    for start in range(0, x.size, BLOCK):
        stop = min(start + BLOCK, x.size)
        s, q, t, h = survey(x[start:stop], signed[start:stop], bits[start:stop])
        total += s
        squares += q
        top = max(top, t)
        high = max(high, h)
        if many:
            _count(bits[start:stop], tables)
        else:
            count_few(bits[start:stop], counts)
    if many:
        for i in range(BINS):
            for table in range(TABLES):
                counts[i] += np.int64(tables[i + table * BINS])
        tables[:] = 0
    zeros = count_zeros(bits) if counts[0] or counts[BINS // 2] else 0
    _conclude(x, bits, (total, squares), (top, high), zeros, out)


@jit()
def _conclude(  # pragma: no cover
    x: Floats,
    bits: Bits,
    sums_of_x: tuple[float, float],
    ends: tuple[np.int32, np.uint32],
    zeros: int,
    out: Row,
) -> None:
    """Moments out of sums, extremes and zeros; walks again where those do not suffice."""
    total, squares = sums_of_x
    top, high = ends
    out[rows.SIZE] = x.size
    out[rows.ERROR] = 0.0
    if top >= np.int32(_INFINITE) or high >= (_INFINITE | _SIGN):
        _careful(x, out)
        return
    n = x.size
    mean = total / n
    deviations = squares - total * mean
    if deviations * _OFFSET < n * mean * mean:
        total, squares = sums_about(x, mean)
        mean += total / n
        deviations = squares - total * (total / n)
    # floats order like integers within one sign
    low = lowest(bits) if top < 0 or high < _SIGN else np.uint32(0)
    out[rows.COUNT] = n
    out[rows.MIN] = as_float(high if high >= _SIGN else low)
    out[rows.MAX] = as_float(np.uint32(top) if top >= 0 else low)
    if out[rows.MIN] == out[rows.MAX]:  # a constant has no spread, not even of rounding
        mean = out[rows.MIN]
        deviations = 0.0
    out[rows.MEAN] = mean
    out[rows.DEVIATIONS] = max(deviations, 0.0)
    out[rows.ZEROS] = zeros
    out[rows.NAN] = 0.0
    out[rows.INF] = 0.0


@jit()
def as_float(bits: np.uint32) -> float:  # pragma: no cover
    """A float32 bit pattern as a number; by arithmetic, for the processor may flush subnormals."""
    if not bits & _INFINITE:
        size = np.float64(bits & _FRACTION) * FLOAT32_TINY
        return -size if bits & _SIGN else size
    one = np.empty(1, dtype=np.uint32)
    one[0] = bits
    return float(one.view(np.float32)[0])


@jit()
def _careful(x: Floats, out: Row) -> None:  # pragma: no cover
    """The same where some element is not finite: those are counted and kept out."""
    n = 0
    nan = 0
    infinite = 0
    zeros = 0
    total = 0.0
    low = np.inf
    high = -np.inf
    for i in range(x.size):
        v = np.float64(x[i])
        if np.isnan(v):
            nan += 1
        elif np.isinf(v):
            infinite += 1
        else:
            n += 1
            total += v
            zeros += v == 0
            low = min(low, v)
            high = max(high, v)
    mean = total / n if n else np.nan
    squares = 0.0
    for i in range(x.size):
        v = np.float64(x[i])
        if np.isfinite(v):
            squares += (v - mean) ** 2
    out[rows.COUNT] = x.size
    out[rows.MEAN] = mean
    out[rows.DEVIATIONS] = squares
    out[rows.MIN] = low if n else np.nan
    out[rows.MAX] = high if n else np.nan
    out[rows.ZEROS] = zeros
    out[rows.NAN] = nan
    out[rows.INF] = infinite
