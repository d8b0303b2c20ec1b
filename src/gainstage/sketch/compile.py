"""How kernels are compiled: once for all processes where a cache can be written, else for this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def jit(**options: Any) -> Callable[[F], F]:
    """Compile a function; keep the machine code if possible.

    Args:
        **options: of ``numba.njit``. The interpreter's lock is let go unless they say otherwise.
    """
    options = {"nogil": True, **options}

    def decorate(function: F) -> F:
        try:
            compiled: F = njit(cache=True, **options)(function)
        except RuntimeError:  # neither beside the package nor in the home folder may we write
            compiled = njit(**options)(function)
        return compiled

    return decorate
