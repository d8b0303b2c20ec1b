"""A terminal that is closed ends the doctor as any exit does: its runs and copies go with it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Final

HANGUP: Final = getattr(signal, "SIGHUP", None)
"""What is sent when a terminal is closed; None on Windows."""


def is_heard() -> bool:
    """Whether a hangup would reach this process: not under ``nohup``."""
    return HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN


@contextlib.contextmanager
def exit_on_hangup() -> Iterator[None]:
    """Turn a hangup into an exit, so that what is to be undone is undone.

    Raises:
        SystemExit: there was one; from within the block.
    """
    if HANGUP is None or not is_heard():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(HANGUP, leave)
    except ValueError:  # not the main thread: no signal comes here
        yield
        return
    try:
        yield
    finally:
        signal.signal(HANGUP, before)
