"""What went wrong in a user's script, told as if nobody had watched."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final

OURS: Final = str(Path(__file__).resolve().parent.parent) + os.sep
"""The folder of our own code."""


def without_our_frames(error: BaseException) -> BaseException:
    """Take out of an exception, and of those it came from, the frames that only watch."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = users_traceback(one)
            waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return error


def users_traceback(error: BaseException) -> TracebackType | None:
    """The traceback without the frames that are there only because we watch."""
    frames: list[TracebackType] = []
    link = error.__traceback__
    while link is not None:
        file = link.tb_frame.f_code.co_filename
        if file.endswith(os.path.join("torch", "overrides.py")):  # noqa: PTH118
            frames = frames[:-1]  # the functional call that went through our mode
        elif not file.startswith(OURS):
            frames.append(link)
        link = link.tb_next
    result: TracebackType | None = None
    for frame in reversed(frames):
        result = TracebackType(result, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return result
