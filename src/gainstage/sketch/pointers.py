"""Kernels that read float32 memory by its address.

This is what makes watching cheap: no array object, no allocation and no Python per element; a
call costs about a microsecond besides the reading.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import carray
from torch import Tensor

from gainstage.sketch import kernels
from gainstage.sketch.compile import jit
from gainstage.sketch.histogram import BINS
from gainstage.sketch.kernels import Bits, Counts
from gainstage.sketch.rows import Row


def _as_pointer(context: Any, source: Any) -> tuple[Any, Callable[..., Any]]:
    """An integer as a pointer to uint32."""
    del context
    signature = types.CPointer(types.uint32)(source)  # type: ignore[no-untyped-call]

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], target.get_value_type(signature.return_type))

    return signature, generate


address: Any = intrinsic(_as_pointer)


def holds_memory(tensor: Tensor) -> bool:
    """Whether the storage reaches to the last element: sharding and offloading free it."""
    end = (tensor.storage_offset() + tensor.numel()) * tensor.element_size()
    return tensor.data_ptr() != 0 and tensor.untyped_storage().nbytes() >= end


@jit()
def read(pointer: int, n: int, out: Row) -> None:  # pragma: no cover
    """Moments of ``float32[n]`` at an address, n >= 1, into a row."""
    whole = carray(address(pointer), n)
    kernels.moments(whole.view(np.float32), whole, out)


@jit()
def _scan(pointer: int, n: int, tables: Bits, counts: Counts, out: Row) -> None:  # pragma: no cover
    whole = carray(address(pointer), n)
    kernels.scan(whole.view(np.float32), whole, tables, counts, out)


class _Scratch(threading.local):
    """Memory that a thread's scans share."""

    def __init__(self) -> None:
        self.tables = np.zeros(kernels.TABLES * BINS, dtype=np.uint32)


_scratch = _Scratch()


def scan(pointer: int, n: int, counts: Counts, out: Row) -> None:
    """Moments and histogram of ``float32[n]`` at an address, n >= 1.

    Args:
        pointer: the address.
        n: elements.
        counts: int64 [4096], zeros; gets the histogram.
        out: float64 [rows.WIDTH].
    """
    _scan(pointer, n, _scratch.tables, counts, out)
