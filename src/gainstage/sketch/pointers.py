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

from gainstage.sketch.compile import jit
from gainstage.sketch.kernels import MOMENTS, Bits, Row, moments
from gainstage.sketch.summary import Summary

LINE: Final = 16
"""Float32 in a cache line."""


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
