"""Numba kernels over the bits of float32 memory: the fast path on the CPU.

The loops are plain on purpose: one idea each, so that LLVM turns the reductions into vector code.
A tensor is walked in blocks that stay in the second-level cache, so it is read once from memory.
Indexing (not iterating) and splitting sums from extremes matter: either change costs a factor of
three to twenty, measured by ``gainstage bench kernels``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.sketch.compile import jit
from gainstage.sketch.histogram import BINS, SHIFT

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bits = NDArray[np.uint32]
Marks = NDArray[np.uint8]
Counts = NDArray[np.int64]

BLOCK: Final = 32_768
"""Elements a block: 128 KiB of float32."""

LANES: Final = 4
"""Histograms filled in turn, so that equal neighbours do not wait for each other's store."""

MANY: Final = 65_536
"""From here on the four lanes pay for their zeroing and folding."""

# Reordering a sum is allowed; assuming that no NaN occurs is not.
_REORDER: Final = {"reassoc", "contract", "nsz"}
_SHIFT: Final = np.uint32(SHIFT)
_BINS: Final = np.uint32(BINS)
_SIGN: Final = np.uint32(0x8000_0000)


@jit(fastmath=_REORDER)
def sums(x: Floats, shift: float) -> tuple[float, float]:  # pragma: no cover
    """Sum and sum of squares of ``x - shift`` in float64: x [n]."""
    total = 0.0
    squares = 0.0
    for i in range(x.size):
        d = np.float64(x[i]) - shift
        total += d
        squares += d * d
    return total, squares


@jit()
def extremes(signed: Ints, bits: Bits) -> tuple[np.int32, np.uint32]:  # pragma: no cover
    """Largest signed and largest unsigned bit pattern: [n], n >= 1.

    Floats order like integers within one sign, so with both signs present these are the maximum
    and the minimum; with one sign only, :func:`lowest` is wanted for the other end.
    """
    top = np.int32(-(2**31))
    high = np.uint32(0)
    for i in range(signed.size):
        top = max(top, signed[i])
        high = max(high, bits[i])
    return top, high


@jit()
def lowest(bits: Bits) -> np.uint32:  # pragma: no cover
    """Smallest unsigned bit pattern: the element nearest to zero, where all have one sign."""
    low = np.uint32(0xFFFF_FFFF)
    for i in range(bits.size):
        low = min(low, bits[i])
    return low


@jit()
def _count(bits: Bits, tables: Bits) -> None:  # pragma: no cover
    n = bits.size // LANES * LANES
    for i in range(0, n, LANES):
        tables[bits[i] >> _SHIFT] += np.uint32(1)
        tables[(bits[i + 1] >> _SHIFT) + _BINS] += np.uint32(1)
        tables[(bits[i + 2] >> _SHIFT) + np.uint32(2) * _BINS] += np.uint32(1)
        tables[(bits[i + 3] >> _SHIFT) + np.uint32(3) * _BINS] += np.uint32(1)
    for i in range(n, bits.size):
        tables[bits[i] >> _SHIFT] += np.uint32(1)


@jit()
def _count_few(bits: Bits, counts: Counts) -> None:  # pragma: no cover
    for i in range(bits.size):
        counts[bits[i] >> _SHIFT] += 1


@jit()
def scan(
    x: Floats, signed: Ints, bits: Bits, tables: Bits, counts: Counts, out: NDArray[np.float64]
) -> None:  # pragma: no cover
    """Sums about the first element, extremes as bit patterns, and the histogram.

    Args:
        x: float32 [n], n >= 1.
        signed: the same memory as int32.
        bits: the same memory as uint32.
        tables: uint32 [4 * 4096], zeros, and zeros again afterwards: kept from call to call, for
            fresh memory costs more than the counting of a hundred thousand elements.
        counts: int64 [4096], added to.
        out: float64 [5]: sum and sum of squares of ``x - x[0]``, largest signed pattern, largest
            unsigned one, and the smallest unsigned one where all have one sign. The sums mean
            nothing if x is not finite throughout.
    """
    shift = np.float64(x[0])
    total = 0.0
    squares = 0.0
    top = np.int32(-(2**31))
    high = np.uint32(0)
    many = x.size >= MANY
    for start in range(0, x.size, BLOCK):
        stop = min(start + BLOCK, x.size)
        s, q = sums(x[start:stop], shift)
        total += s
        squares += q
        t, h = extremes(signed[start:stop], bits[start:stop])
        top = max(top, t)
        high = max(high, h)
        if many:
            _count(bits[start:stop], tables)
        else:
            _count_few(bits[start:stop], counts)
    if many:
        for i in range(BINS):
            counts[i] += (
                np.int64(tables[i])
                + np.int64(tables[i + BINS])
                + np.int64(tables[i + 2 * BINS])
                + np.int64(tables[i + 3 * BINS])
            )
        tables[:] = 0
    out[0] = total
    out[1] = squares
    out[2] = top
    out[3] = high
    out[4] = lowest(bits) if top < 0 or high < _SIGN else 0


@jit()
def count_zeros(bits: Bits) -> int:  # pragma: no cover
    """Number of zeros of either sign in float32 bit patterns."""
    n = 0
    for i in range(bits.size):
        n += (bits[i] & ~_SIGN) == 0
    return n


@jit()
def count_outside(x: Floats, low: float, high: float) -> int:  # pragma: no cover
    """Number of elements below `low` or above `high`."""
    n = 0
    for i in range(x.size):
        n += (x[i] < low) | (x[i] > high)
    return n


@jit()
def mark_units(x: Floats, low: float, high: float, seen: Marks) -> None:  # pragma: no cover
    """Mark each unit that has at least one element inside ``[low, high]``.

    Stops looking at a unit once it is marked, so a healthy layer costs a few rows.

    Args:
        x: float32 [samples, units, positions].
        low: lower bound.
        high: upper bound.
        seen: uint8 [units], set to 1.
    """
    left = 0
    for u in range(seen.size):
        left += seen[u] == 0
    for n in range(x.shape[0]):
        if left == 0:
            return
        for u in range(x.shape[1]):
            if seen[u]:
                continue
            for p in range(x.shape[2]):
                if low <= x[n, u, p] <= high:
                    seen[u] = 1
                    left -= 1
                    break


@jit()
def mark_alive(x: Floats, seen: Marks) -> None:  # pragma: no cover
    """Mark each unit that has at least one element other than zero (NaN counts as alive).

    Args:
        x: float32 [samples, units, positions].
        seen: uint8 [units], set to 1.
    """
    left = 0
    for u in range(seen.size):
        left += seen[u] == 0
    for n in range(x.shape[0]):
        if left == 0:
            return
        for u in range(x.shape[1]):
            if seen[u]:
                continue
            for p in range(x.shape[2]):
                if x[n, u, p] != 0:
                    seen[u] = 1
                    left -= 1
                    break
