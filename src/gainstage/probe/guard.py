"""What stands between a tap and the user's training: nothing of ours may get through."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec, cast

import torch

from gainstage.torch_private import (
    has_function_modes,
    is_tracing,
    set_gradients,
    without_overrides,
)

P = ParamSpec("P")


_forks = [0]
"""How often this process was forked off: a guard of the parent's is none of the child's."""

_NEVER: Final = -1


def _count_fork() -> None:
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class StopTraining(BaseException):
    """Ends a user's script politely at the step or time limit.

    A ``BaseException``, so that ``except Exception`` in the script does not swallow it while
    ``finally`` blocks and context managers still run.
    """


class Guard:
    """Switches taps off when they fail, counts their time, and keeps them out of each other's way.

    Args:
        on_failure: told the tap's name and the exception's last line, once per tap.
        essential: the tap without which the others measure in vain: all go off with it.
    """

    def __init__(self, on_failure: Callable[[str, str], None], *, essential: str = "") -> None:
        self._on_failure = on_failure
        self._essential = essential
        self._forks = _forks[0]
        self._lock = threading.RLock()
        self._busy = False
        self._off: set[str] = set()
        self.seconds = 0.0

    def is_off(self, tap: str) -> bool:
        """Whether a tap has failed and switched itself off."""
        return tap in self._off

    def call(self, tap: str, body: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Run `body` so that it neither raises nor disturbs: no gradients, no function modes.

        One thread at a time, for what kernels write to must not move; never within itself; and
        not while torch traces, for what we read would become part of the user's trace.
        """
        if tap in self._off or self._forks != _forks[0]:
            return
        start = time.perf_counter()
        with self._lock:
            if self._busy:  # what we call has brought us here
                return
            self._busy = True
            try:
                with without_overrides():
                    if is_tracing():
                        return
                    gradients = torch.is_grad_enabled()
                    set_gradients(False)
                    try:
                        body(*args, **kwargs)
                    finally:
                        set_gradients(gradients)
            except Exception as error:  # noqa: BLE001 - the promise is that nothing gets through
                self._fail(tap, error)
            finally:
                self._busy = False
                self.seconds += time.perf_counter() - start

    def call_lightly(self, tap: str, body: Callable[..., None], *args: Any) -> None:
        """The same for a body that reads memory and asks torch for nothing that it computes.

        It is called for every layer, so it does without the precautions that such a body does
        not need, unless a mode that watches functions is active.
        """
        if has_function_modes():
            self.call(tap, body, *args)
            return
        if tap in self._off or self._forks != _forks[0] or is_tracing():
            return
        start = time.perf_counter()
        with self._lock:
            if self._busy:
                return
            self._busy = True
            try:
                body(*args)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(tap, error)
            finally:
                self._busy = False
                self.seconds += time.perf_counter() - start

    def shield(self, tap: str, body: Callable[..., Any], *args: Any) -> Any:
        """What `body` returns, which runs its parts by :meth:`call`; None if it fails beside them.

        It is called even while the tap is off, for those parts may belong to other taps.
        """
        if self._forks != _forks[0]:
            return None
        try:
            return body(*args)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(tap, error)
            return None

    def _fail(self, tap: str, error: Exception) -> None:
        if tap in self._off:
            return
        self._off.add(tap)
        what = "itself"
        if tap == self._essential:
            what, self._forks = "the whole watch", _NEVER
        last = traceback.format_exception_only(error)[-1].strip()
        where = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{last} (at {os.path.basename(where.filename)}:{where.lineno})"  # noqa: PTH119
        try:
            self._on_failure(tap, message)
        except Exception as second:  # noqa: BLE001 - telling must not raise either
            message = f"{message}; and telling the run failed: {second}"
        with contextlib.suppress(Exception):  # the user may have made warnings errors
            warnings.warn(
                f"Gainstage's {tap} tap failed and switched {what} off; the training goes on "
                f"unchanged. {message}",
                RuntimeWarning,
                stacklevel=3,
            )


def tap(
    name: str,
) -> Callable[[Callable[Concatenate[Any, P], None]], Callable[Concatenate[Any, P], None]]:
    """Mark a method as a tap: it runs under its object's ``guard`` and returns nothing."""

    def decorate(
        method: Callable[Concatenate[Any, P], None],
    ) -> Callable[Concatenate[Any, P], None]:
        @functools.wraps(method)
        def wrapped(self: Any, *args: P.args, **kwargs: P.kwargs) -> None:
            self.guard.call(name, method, self, *args, **kwargs)

        return cast("Callable[Concatenate[Any, P], None]", wrapped)

    return decorate
