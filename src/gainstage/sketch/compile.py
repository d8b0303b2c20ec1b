"""How kernels are compiled: once for all processes where a cache can be written, else for this.

Compiling them all takes some ten seconds, loading them some tenths of one. A training does neither
again after its first steps, so no step and no overhead is to be judged by it:
:func:`working_time` stands still meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])


class _Preparation(event.Listener):
    """Adds up how long our kernels, and nobody else's, take to be compiled or loaded."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0
        self._depth = 0  # one kernel calls for others
        self._ours = False

    def on_start(self, _: event.Event) -> None:
        """A compiler lock is taken."""
        if self._depth == 0:
            self._ours = _is_ours()
            self._since = time.monotonic()
        self._depth += 1

    def on_end(self, _: event.Event) -> None:
        """It is given back."""
        self._depth -= 1
        if self._depth == 0 and self._ours:
            self.seconds += time.monotonic() - self._since


def _is_ours() -> bool:
    """Whether the kernel that is wanted is called from our code; a user may have others."""
    frame = sys._getframe(2)  # noqa: SLF001 - as traceback and logging do
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        ("numba.", "contextlib")
    ):
        frame = frame.f_back
    return bool(frame.f_globals.get("__name__", "").startswith("gainstage."))


_PREPARATION: Final = _Preparation()
event.register("numba:compiler_lock", _PREPARATION)  # type: ignore[no-untyped-call]


def preparing_seconds() -> float:
    """Seconds that our kernels took so far to be compiled or loaded."""
    return _PREPARATION.seconds


def working_time() -> float:
    """A clock in seconds that stands still while a kernel of ours is prepared, in this thread."""
    return time.monotonic() - _PREPARATION.seconds


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
