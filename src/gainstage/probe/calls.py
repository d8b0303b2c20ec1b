"""Calls that are open: whose forward, and whose step, is running right now."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_OURS: Final = f"{Path(__file__).resolve().parent.parent}{os.sep}"


class _Stack(threading.local, Generic[T]):
    """What is open on a thread: each thing, with the frame that called us."""

    def __init__(self) -> None:
        self.open: list[tuple[T, int, CodeType]] = []


class OpenCalls(Generic[T]):
    """A stack of what is being called, innermost last; each thread has its own.

    A call that raises never reports its end. So each is remembered with the frame that called
    our hook, and what that frame left open is dropped as soon as it no longer runs.

    Example:
        >>> calls: OpenCalls[str] = OpenCalls()
        >>> def call() -> tuple[str | None, bool, str | None]:
        ...     outermost = calls.enter("forward")
        ...     return outermost, calls.innermost, calls.leave("forward"), calls.innermost
        >>> call()
        (True, 'forward', True, None)
    """

    def __init__(self) -> None:
        self._stack: _Stack[T] = _Stack()

    def enter(self, thing: T) -> bool:
        """The call of `thing` begins; whether no other is open."""
        self._prune()
        frame = _caller()
        while any(ident == id(frame) for _, ident, _ in self._stack.open):
            self._stack.open.pop()  # a frame calls us once: this one only sits where that one was
        outermost = not self._stack.open
        self._stack.open.append((thing, id(frame), frame.f_code))
        return outermost

    def leave(self, thing: T) -> bool:
        """The call of `thing` ended, and with it all within; False if its beginning was missed."""
        if not any(held is thing for held, _, _ in self._stack.open):
            return False
        while self._stack.open.pop()[0] is not thing:
            pass
        return True

    def clear(self) -> None:
        """Forget what is open."""
        self._stack.open.clear()

    def __bool__(self) -> bool:
        """Whether anything was open when last looked at: the cheap question."""
        return bool(self._stack.open)

    @property
    def innermost(self) -> T | None:
        """What is running, innermost; None if nothing is."""
        self._prune()
        return self._stack.open[-1][0] if self._stack.open else None

    @property
    def all(self) -> list[T]:
        """What is running, outermost first."""
        self._prune()
        return [thing for thing, _, _ in self._stack.open]

    def _prune(self) -> None:
        while self._stack.open and not _runs(*self._stack.open[-1][1:]):
            self._stack.open.pop()


def _caller() -> FrameType:
    """The innermost frame that is not ours: torch's, which calls the hook and then the user."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame
    while frame.f_code.co_filename.startswith(_OURS) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _runs(ident: int, code: CodeType) -> bool:
    """Whether a frame is on this thread's stack; a running frame keeps its identity."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        if id(frame) == ident and frame.f_code is code:
            return True
        frame = frame.f_back
    return False
