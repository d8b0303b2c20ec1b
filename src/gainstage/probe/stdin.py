"""Keeps what a script reads from its standard input, so that it can be given it again.

Nothing is read ahead of the script: what it leaves is left to whoever comes after it.
"""

from __future__ import annotations

import builtins
import functools
import io
import sys
from pathlib import Path
from typing import Any

from typing_extensions import Buffer, override


def keep_input(path: str) -> None:
    """From now on, copy what this process reads by ``sys.stdin`` and ``input()`` to a file.

    Args:
        path: of the new file; it is made when something is read.
    """
    raw = getattr(getattr(sys.stdin, "buffer", None), "raw", None)
    if raw is None:  # there is no standard input
        return
    target = Path(path)
    if raw.isatty():
        builtins.input = _kept(builtins.input, target)
        return
    given = sys.stdin
    buffer = io.BufferedReader(_Kept(raw, target))
    sys.stdin = io.TextIOWrapper(buffer, encoding=given.encoding, errors=given.errors)


class _Kept(io.RawIOBase):
    """A raw stream of which a copy is kept; closing it leaves the stream open, as python does."""

    def __init__(self, raw: io.RawIOBase, target: Path) -> None:
        super().__init__()
        self._raw = raw
        self._target = target
        self.name, self.mode = getattr(raw, "name", "<stdin>"), "rb"

    @override
    def readable(self) -> bool:
        return True

    @override
    def fileno(self) -> int:
        return self._raw.fileno()

    @override
    def isatty(self) -> bool:
        return False

    def readinto(self, buffer: Buffer) -> int | None:
        """Read from the stream itself, and write the same to the file."""
        count: int | None = self._raw.readinto(buffer)
        if count:
            with self._target.open("ab") as file:
                file.write(memoryview(buffer)[:count])
        return count


def _kept(ask: Any, target: Path) -> Any:
    """``input`` at a terminal, which reads past ``sys.stdin`` so that lines can be edited."""

    @functools.wraps(ask)
    def asked(*args: Any) -> str:
        answer: str = ask(*args)
        with target.open("a", encoding="utf-8") as file:
            file.write(answer + "\n")
        return answer

    return asked
