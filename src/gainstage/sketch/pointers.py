"""Kernels that read float32 memory by its address.

This is what makes watching cheap: no array object, no allocation and no Python per element; a
call costs about a microsecond besides the reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from gainstage.sketch.compile import jit
from gainstage.sketch.kernels import BLOCK, Bits, Floats, count_zeros, extremes, lowest, sums
from gainstage.sketch.summary import Summary

LINE: Final = 16
"""Float32 in a cache line."""

MOMENTS: Final = 8
"""Numbers that :func:`moments` writes."""

Row = NDArray[np.float64]

_INFINITE: Final = np.uint32(0x7F80_0000)
_SIGN: Final = np.uint32(0x8000_0000)


def _as_pointer(context: Any, source: Any) -> tuple[Any, Callable[..., Any]]:
    """An integer as a pointer to uint32."""
    del context
    signature = types.CPointer(types.uint32)(source)  # type: ignore[no-untyped-call]

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], target.get_value_type(signature.return_type))

    return signature, generate


address: Any = intrinsic(_as_pointer)


@jit()
def gather(pointer: int, n: int, keep: int, offset: int, out: Bits) -> int:  # pragma: no cover
    """Copy every `keep`-th line of ``uint32[n]`` at an address; return how many elements.

    The last line, if it is not full, is taken whenever its turn comes.
    """
    bits = carray(address(pointer), n)
    full = n // LINE
    m = 0
    for line in range(offset % keep, full, keep):
        start = line * LINE
        for i in range(LINE):  # a fixed count, so that it becomes two vector moves
            out[m + i] = bits[start + i]
        m += LINE
    if full % keep == offset % keep:
        for i in range(full * LINE, n):
            out[m] = bits[i]
            m += 1
    return m


@jit()
def moments(x: Floats, bits: Bits, out: Row) -> None:  # pragma: no cover
    """Elements, mean, squared deviations, minimum, maximum, zeros, NaN, infinities: into out [8].

    Those that are not finite are counted and kept out of the rest.
    """
    n = x.size
    shift = np.float64(x[0])
    total = 0.0
    squares = 0.0
    zeros = 0
    top = np.int32(-(2**31))
    high = np.uint32(0)
    signed = bits.view(np.int32)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        s, q = sums(x[start:stop], shift)
        total += s
        squares += q
        t, h = extremes(signed[start:stop], bits[start:stop])
        top = max(top, t)
        high = max(high, h)
        zeros += count_zeros(bits[start:stop])
    if top >= np.int32(_INFINITE) or high >= (_INFINITE | _SIGN):
        _careful(x, out)
        return
    mean = total / n
    out[0] = n
    out[1] = shift + mean
    out[2] = max(squares - total * mean, 0.0)
    # floats order like integers within one sign
    low = lowest(bits) if top < 0 or high < _SIGN else np.uint32(0)
    out[3] = _float(high if high >= _SIGN else low)
    out[4] = _float(np.uint32(top) if top >= 0 else low)
    out[5] = zeros
    out[6] = 0.0
    out[7] = 0.0


@jit()
def _float(bits: np.uint32) -> float:  # pragma: no cover
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
    out[0] = x.size
    out[1] = mean
    out[2] = squares
    out[3] = low if n else np.nan
    out[4] = high if n else np.nan
    out[5] = zeros
    out[6] = nan
    out[7] = infinite


@jit()
def read(pointer: int, n: int, out: Row) -> None:  # pragma: no cover
    """:func:`moments` of ``float32[n]`` at an address, n >= 1."""
    whole = carray(address(pointer), n)
    moments(whole.view(np.float32), whole, out)


def summary(out: Row) -> Summary:
    """What :func:`moments` wrote, as a summary.

    Example:
        >>> summary(np.array([4.0, 0.5, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0])).std
        0.5
    """
    count, mean, squares, low, high, zeros, nan, infinite = out.tolist()
    finite = count - nan - infinite
    std = math.sqrt(squares / finite) if finite else math.nan
    return Summary(int(count), mean, std, low, high, int(zeros), int(nan), int(infinite))
