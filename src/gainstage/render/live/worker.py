"""The process that computes for the playground: begun when first asked, begun anew if it dies.

The server itself never loads torch. What it asks goes down a pipe, one line a question, to
:mod:`gainstage.playground.launch`, which ends when the pipe does.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from typing import Final

from typing_extensions import Self

from gainstage.errors import GainstageError

PATIENCE: Final = 20.0
"""Seconds that a computation may take; it takes a fraction of one."""

START: Final = 90.0
"""Seconds that the first one may take: torch is loaded for it."""

IDLE: Final = 600.0
"""Seconds without a question after which the process is ended: it holds half a gigabyte."""

_LAUNCH: Final = """\
import sys
if sys.path[0] == "":
    del sys.path[0]
from gainstage.playground.launch import main
main()
"""
"""What it runs. Nothing is imported from the folder that the user is in."""

_SLOW: Final = "The computation took longer than {patience:g} s and was ended; ask for less."
_DIED: Final = (
    "The process that computes has ended ({code}); the terminal may say why. It begins anew with "
    "the next question."
)
_CLOSED: Final = "The server is ending."


class ComputationError(GainstageError):
    """The playground's process has died, was too slow, or is ended."""


class Worker:
    """One process, and one question at a time.

    Args:
        patience: seconds that an answer may take.
        start: seconds that the first answer of a process may take.
        idle: seconds without a question after which the process is ended.
        program: python code that answers; by default the playground's.
    """

    def __init__(
        self,
        patience: float = PATIENCE,
        start: float = START,
        idle: float = IDLE,
        program: str = _LAUNCH,
    ) -> None:
        self._patience, self._start, self._idle = patience, start, idle
        self._program = program
        self._asked = 0.0
        self._clock: threading.Timer | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self._fresh = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process; None before the first question and after the end."""
        return None if self._process is None else self._process.pid

    def ask(self, question: bytes) -> bytes:
        """The answer to one line, in JSON.

        Args:
            question: JSON without a line end.

        Raises:
            ComputationError: the process died or took too long; the next question begins another.
        """
        with self._turn:
            answer = self._answer(question + b"\n").removesuffix(b"\n")
            self._asked = time.monotonic()
        self._look_later()
        return answer

    def close(self) -> None:
        """End the process; whoever waits for it gets an error. May be called again."""
        self._closed.set()
        if self._clock is not None:
            self._clock.cancel()
        process = self._process
        if process is not None:
            process.kill()
            with self._turn:  # whoever is waiting has let go of it
                self._end()

    def _look_later(self) -> None:
        """One clock at a time, that ends the process if nobody has asked meanwhile."""
        if self._clock is not None:
            self._clock.cancel()
        self._clock = threading.Timer(self._idle, self._rest)
        self._clock.daemon = True
        self._clock.start()

    def _rest(self) -> None:
        with self._turn:
            if time.monotonic() - self._asked >= self._idle:
                self._end()

    def _answer(self, line: bytes) -> bytes:
        process = self._running()
        patience = self._start if self._fresh else self._patience
        late = threading.Event()

        def end_it() -> None:
            late.set()
            process.kill()

        clock = threading.Timer(patience, end_it)
        clock.daemon = True
        clock.start()
        try:
            answer = _exchange(process, line)
        finally:
            clock.cancel()
        if answer.endswith(b"\n"):
            self._fresh = False
            return answer
        code = self._end()
        if self._closed.is_set():
            raise ComputationError(_CLOSED)
        told = _SLOW.format(patience=patience) if late.is_set() else _DIED.format(code=_how(code))
        raise ComputationError(told)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed.is_set():
            raise ComputationError(_CLOSED)
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            self._fresh = True
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, "-c", self._program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in the terminal is for the server
            )
        return self._process

    def _end(self) -> int:
        """Let go of the process; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what was not sent is sent on closing
                    pipe.close()
        return code


def _exchange(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """Send a line, receive a line; what there was of it if the process ended."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    return process.stdout.readline()


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
