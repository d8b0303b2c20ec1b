"""The runs of a folder, by name: found anew at each question, opened when asked for."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from gainstage.errors import RunFileError
from gainstage.store import (
    MergedRecording,
    StoredRecording,
    open_recording,
    rank_files,
    run_files,
)
from gainstage.views.view import Numbers, columns, number, numbers

MOST_OPEN: Final = 6
"""Runs that are kept open; the one that was not asked for longest is closed for the next."""

MOST_LISTED: Final = 2_000
"""Runs of a folder that are listed: the newest by name."""

_CURVE: Final = 48

_SETTLED: Final = 2.0
"""Seconds without a writing after which the time of the last one can be told from any later's."""

Whole = StoredRecording | MergedRecording
Signature = tuple[tuple[int, int, int], ...]
"""Inode, time and size of each file of a run: another one after each step that is written."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A run at a glance.

    Attributes:
        name: by which it is asked for.
        started: seconds since the epoch; when the file was last written, if it cannot be read.
        quiet: seconds since something was last written.
        script: of the user, or ``""``.
        status: as in :class:`gainstage.records.RunInfo`; ``"unreadable"`` if it cannot be read.
        steps: how many are recorded.
        seconds: wall time.
        curve: the loss at a few points of the run.
        first: first loss that was measured.
        last: last loss that was measured.
        findings: severities of the findings stored with it, main one first.
        problem: why it cannot be read.
    """

    name: str
    started: float
    quiet: float
    script: str = ""
    status: str = "unreadable"
    steps: int = 0
    seconds: float = 0.0
    curve: Numbers = ()
    first: float | None = None
    last: float | None = None
    findings: tuple[str, ...] = ()
    problem: str = ""


@dataclass(slots=True)
class _Open:
    recording: Whole
    inodes: tuple[int, ...]
    seen: Signature = ()
    """As of its last refreshing, if nothing had been written for a while: there is nothing new."""
    lock: threading.RLock = field(default_factory=threading.RLock)


class Shelf:
    """A folder of runs.

    A name is only ever looked up among those that were found: nothing that is asked becomes part
    of a path. What lies outside the folder, by way of a link, is not found.

    Args:
        folder: it may be missing, and may appear later.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._listed: dict[str, tuple[Signature, Listed]] = {}

    def find(self) -> dict[str, Path]:
        """The runs by name, newest name first."""
        found = sorted(run_files(self.folder).items(), reverse=True)
        if not found:  # nor, perhaps, the folder that a relative path begins at
            return {}
        home = os.path.realpath(self.folder)
        inside = ((name, path) for name, path in found if _lies_in(home, path))
        return dict(itertools.islice(inside, MOST_LISTED))

    def path(self, name: str) -> Path:
        """Where a run is.

        Raises:
            RunFileError: there is none of that name.
        """
        path = run_files(self.folder).get(name)
        if path is None or not path.resolve().is_relative_to(self.folder.resolve()):
            msg = f"There is no run called {name[:80]!r} here. It may have been moved or deleted."
            raise RunFileError(msg)
        return path

    def signature(self, name: str) -> Signature:
        """What changes whenever something is written to a run.

        Raises:
            RunFileError: there is none of that name.
        """
        return _signature(self.path(name))

    def signatures(self) -> list[tuple[str, Signature]]:
        """Those of all runs: the folder is looked through once, however many there are."""
        return [(name, _signature(path)) for name, path in self.find().items()]

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[Whole]:
        """A run as it is now, for one reader at a time; it stays as it is within the block.

        Raises:
            RunFileError: there is none of that name, or it cannot be read.
        """
        opened = self._opened(name)
        with opened.lock, opened.recording.held():
            now = self.signature(name)
            if now != opened.seen:
                opened.recording.refresh()
                opened.seen = _settled(now)
            yield opened.recording

    @contextlib.contextmanager
    def reading_both(self, first: str, second: str) -> Iterator[tuple[Whole, Whole]]:
        """Two runs as they are now; they may be the same.

        Raises:
            RunFileError: there is none of a name, or it cannot be read.
        """
        names = sorted({first, second})  # always in this order: two readers cannot wait in a ring
        with contextlib.ExitStack() as stack:
            runs = {name: stack.enter_context(self.reading(name)) for name in names}
            yield runs[first], runs[second]

    def listed(self) -> list[Listed]:
        """All runs, newest first, those that cannot be read last."""
        with self._listing:  # who asks meanwhile finds all of them read
            found = self.find()
            self._listed = {name: self._listed[name] for name in self._listed if name in found}
            runs = [self._glance(name, path) for name, path in found.items()]
        return sorted(runs, key=lambda run: (not run.problem, run.started), reverse=True)

    def close(self) -> None:
        """Let go of all files."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].recording.close()

    def _opened(self, name: str) -> _Open:
        path = self.path(name)
        now = _signature(path)
        inodes = tuple(inode for inode, _, _ in _signature(path, companions=False))
        with self._lock:
            kept = self._open.pop(name, None)
            if kept is not None and kept.inodes != inodes:  # another file of the same name
                kept = None
            if kept is None:
                kept = _Open(open_recording(path), inodes, _settled(now))
            self._open[name] = kept
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)  # its file is closed when nobody reads any more
            return kept

    def _glance(self, name: str, path: Path) -> Listed:
        signature = _signature(path)
        known = self._listed.get(name)
        if known is None or known[0] != signature:
            known = signature, _look(name, path, signature)
            self._listed[name] = known
        told: dict[str, Any] = {slot: getattr(known[1], slot) for slot in Listed.__slots__}
        return Listed(**{**told, "quiet": quiet(signature)})


def _look(name: str, path: Path, signature: Signature) -> Listed:
    written = max((at for _, at, _ in signature), default=0) / 1e9
    try:
        with open_recording(path) as run:
            loss = run.run_values("loss").astype(np.float64)
            info = run.info
            known = loss[np.isfinite(loss)]
            return Listed(
                name,
                float(info.started),
                0.0,
                info.script,
                info.status,
                len(run.steps),
                run.seconds,
                numbers(columns(run.steps, _CURVE).reduce(loss, "mean"), 4),
                number(known[0]) if len(known) else None,
                number(known[-1]) if len(known) else None,
                tuple(finding.severity for finding in run.findings),
            )
    except RunFileError as error:
        return Listed(name, written, 0.0, problem=str(error))


def _lies_in(home: str, path: Path) -> bool:
    """Whether a run, and each of its ranks' files, is in a folder when links are followed."""
    parts = [part for part in (path, *rank_files(path).values()) if part.is_symlink()]
    # not Path.resolve(), which raises at a link to itself
    return all(Path(os.path.realpath(part)).is_relative_to(home) for part in parts)


def _signature(path: Path, *, companions: bool = True) -> Signature:
    files = [*rank_files(path).values()] or [path]
    if companions:
        files += [file.with_name(file.name + "-wal") for file in files]
    found = []
    for file in files:
        with contextlib.suppress(OSError):  # it has just been removed
            stat = file.stat()
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _settled(signature: Signature) -> Signature:
    return signature if quiet(signature) > _SETTLED else ()


def mark(signature: Signature) -> str:
    """A signature as a short text, for a browser to compare."""
    return hashlib.blake2s(repr(signature).encode(), digest_size=8).hexdigest()


def quiet(signature: Signature) -> float:
    """Seconds since something was last written to the files of a signature."""
    return max(0.0, time.time() - max((at for _, at, _ in signature), default=0) / 1e9)
