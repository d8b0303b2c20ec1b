"""The writing half of the store: one connection, one row a step, committed at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

from gainstage.errors import RunFileError, UsageError
from gainstage.records import Event, Finding, Frame, RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import problems
from gainstage.store.amend import replace_findings
from gainstage.store.codec import (
    LAST_STEP,
    FrameRow,
    Numbers,
    checksum,
    frame_row,
    printable,
    to_json,
)
from gainstage.store.compaction import compact
from gainstage.store.files import create, disarm_after_fork, keep_alive, leave_wal, transaction
from gainstage.store.roster import Roster
from gainstage.store.windows import Merger, StoredWindow, Window

COMPACT_EVERY: Final = 512
"""Frames after which the tail is turned into chunks."""


class Writer:
    """Writes one run file.

    When :meth:`write_frame` or :meth:`write_frames` returns, the steps survive ``kill -9`` of
    the process (after a power cut the last few may be missing; the file is sound). Methods may
    be called from any thread. A rank's file (``info.rank`` is set) keeps float64, any other
    float32. In a forked child every method does nothing. After :meth:`finish` or :meth:`close`
    only these two may be called, and do nothing.

    Args:
        path: of the new file; folders that are missing are created, open to the user alone.
        info: what is known of the run so far.
        compact_every: frames after which the tail is turned into chunks.

    Raises:
        RunFileError: the file exists or cannot be created. Every method raises it if the disk
            refuses; what was written before stays readable.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from gainstage.store import StoredRecording
        >>> folder = TemporaryDirectory()
        >>> info = RunInfo(id="a", started=0.0)
        >>> with Writer(folder.name + "/a.gs", info) as writer:
        ...     writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
        ...     writer.write_frame(0, np.array([2.5], dtype=np.float32), t=0.1)
        ...     writer.finish(info)
        >>> with StoredRecording(folder.name + "/a.gs") as run:
        ...     run.run_values("loss").tolist()
        [2.5]
        >>> folder.cleanup()
    """

    def __init__(
        self, path: str | os.PathLike[str], info: RunInfo, *, compact_every: int = COMPACT_EVERY
    ) -> None:
        if compact_every < 1:
            msg = f"compact_every must be at least 1, got {compact_every}."
            raise UsageError(msg)
        self.path = Path(path).absolute()
        self._compact_every = compact_every
        self._wide = info.rank is not None
        self._lock = threading.RLock()
        self._roster = Roster()
        self._step = -1
        self._tail = 0
        self._merger = Merger()
        self._forked = False
        self._connection: sqlite3.Connection | None = create(self.path, info)
        disarm_after_fork(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.nullcontext() if error is None else contextlib.suppress(RunFileError):
            self.close()

    def add(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Make more sites and series known; later frames have a number for each.

        Args:
            sites: their ids continue those known so far: 0, 1, 2, ...
            series: likewise; each of a known site and not known yet.

        Raises:
            UsageError: an id is out of turn, or a series is there twice.
        """
        with self._writing() as connection:
            if connection is None:
                return
            self._roster.check_new(sites, series)
            with transaction(connection):
                connection.executemany(
                    "INSERT INTO site (name, kind, json, id) VALUES (?, ?, ?, ?)",
                    map(_site_row, sites),
                )
                connection.executemany(
                    "INSERT INTO series (id, site, quantity) VALUES (?, ?, ?)",
                    [(s.id, s.site, printable(s.quantity)) for s in series],
                )
            self._roster.extend(sites, series)

    def write_frame(self, step: int, values: Numbers, t: float) -> None:
        """Write one step and commit it.

        Args:
            step: above every earlier one; gaps are fine.
            values: one number for each series known so far, NaN where nothing was measured: [S].
            t: seconds since the start of the run.

        Raises:
            UsageError: the step goes back, or there are too many or too few values.
        """
        self.write_frames([Frame(step, values, t)])

    def write_frames(self, frames: Sequence[Frame]) -> None:
        """Write some steps and commit them together: as :meth:`write_frame`, at a lower price."""
        with self._writing() as connection:
            if connection is None or not frames:
                return
            made = self._rows(frames)
            steps = [row[0] for row in made]
            if not all(a < b for a, b in pairwise([self._step, *steps])) or steps[-1] >= LAST_STEP:
                msg = f"Steps must ascend from 0, got {steps[-1]} after {self._step}."
                raise UsageError(msg)
            for step in steps:
                self._merger.advance(step)
            with self._histograms(connection, alone=len(made) == 1):
                connection.executemany(
                    "INSERT INTO frame (step, t, n, crc, v) VALUES (?, ?, ?, ?, ?)", made
                )
            self._step = steps[-1]
            self._tail += len(made)
            if self._tail >= self._compact_every:
                self._compact(connection)

    def _rows(self, frames: Sequence[Frame]) -> list[FrameRow]:
        try:
            return [frame_row(frame, self._roster.series, wide=self._wide) for frame in frames]
        except ValueError as error:
            raise UsageError(str(error)) from error

    def add_histogram(self, site_id: int, step: int, histogram: Histogram) -> None:
        """Add a site's histogram of one step, before that step's frame.

        It is merged over windows of steps (:mod:`gainstage.store.windows`) and stored with the
        frame that closes a window. A kill loses those since the last window that was stored:
        none in the first 100 steps, at most 10 steps up to step 1,000, at most 100 later on.

        Raises:
            UsageError: the site is unknown, or the step's frame has been written already.
        """
        with self._writing() as connection:
            if connection is None:
                return
            self._roster.check_site(site_id)
            if step <= self._step:
                msg = f"A histogram comes before its step's frame: got {step} after {self._step}."
                raise UsageError(msg)
            self._merger.add(site_id, int(step), histogram)

    def add_window(self, site_id: int, window: Window, histogram: Histogram) -> None:
        """Store a site's histogram of a whole window, as :meth:`StoredRecording.windows` has it."""
        self._merger.stored.append(StoredWindow(site_id, window, histogram.to_bytes()))

    def add_event(self, event: Event) -> None:
        """Write what happened."""
        with self._writing() as connection:
            if connection is not None:
                connection.execute(
                    "INSERT INTO event (step, code, site, json) VALUES (?, ?, ?, ?)",
                    (event.step, printable(event.code), printable(event.site), to_json(event)),
                )

    def set_findings(self, findings: Sequence[Finding]) -> None:
        """Write what the rules found, in place of what they found before."""
        with self._writing() as connection:
            if connection is not None:
                replace_findings(connection, findings)

    def update_info(self, info: RunInfo) -> None:
        """Write what is known of the run as a whole, in place of what was known before."""
        with self._writing() as connection:
            if connection is not None:
                connection.execute("UPDATE meta SET json = ? WHERE key = 'info'", (to_json(info),))

    def finish(self, info: RunInfo) -> None:
        """End the run cleanly: the file is then one piece that opens from a read-only disk.

        If a reader holds the file open for more than a second, it stays as :meth:`close` leaves
        it: just as complete, but to be opened where its folder can be written.

        Args:
            info: what is known of the run in the end.
        """
        with self._writing(ended_is_fine=True) as connection:
            if connection is None:
                return
            self.update_info(info)
            self._flush(connection)
            self._compact(connection)
            leave_wal(connection)
            connection.close()
            self._connection = None

    def close(self) -> None:
        """Stop writing; everything so far is readable. Does nothing after :meth:`finish`."""
        with self._writing(ended_is_fine=True) as connection:
            if connection is None:
                return
            try:
                self._flush(connection)
            finally:
                connection.close()
                self._connection = None

    def disarm(self) -> None:
        """In a forked child: let go of the connection without touching it, for good."""
        keep_alive(self._connection)
        self._connection = None
        self._forked = True
        self._lock = threading.RLock()  # another thread of the parent may have held the old one

    @contextlib.contextmanager
    def _writing(self, *, ended_is_fine: bool = False) -> Iterator[sqlite3.Connection | None]:
        """Hand out the connection, or None if there is nothing to do; explain what SQLite says."""
        with self._lock:
            if self._connection is None and not (self._forked or ended_is_fine):
                msg = f"The run file {str(self.path)!r} is closed: nothing more can be written."
                raise UsageError(msg)
            try:
                yield self._connection
            except (sqlite3.Error, OverflowError) as error:
                raise problems.cannot_write(self.path, error) from error

    @contextlib.contextmanager
    def _histograms(self, connection: sqlite3.Connection, *, alone: bool = True) -> Iterator[None]:
        """Commit the block's statements with the windows that have closed, if there are any.

        Args:
            connection: the file's.
            alone: the block has a single statement, which commits itself.
        """
        merger = self._merger
        if alone and not (merger.stored or merger.superseded):
            yield
            return
        with transaction(connection):
            yield
            connection.executemany(
                "INSERT OR REPLACE INTO hist (site, window, step0, n, crc, v) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [(site, *w, checksum(data, site, *w), data) for site, w, data in merger.stored],
            )
            connection.executemany(
                "DELETE FROM hist WHERE site = ? AND window = ? AND step0 >= ? AND step0 < ?",
                merger.superseded,
            )
        merger.stored.clear()
        merger.superseded.clear()

    def _flush(self, connection: sqlite3.Connection) -> None:
        self._merger.flush()
        with self._histograms(connection):
            pass

    def _compact(self, connection: sqlite3.Connection) -> None:
        with transaction(connection):
            compact(connection, self._roster.series)
        self._tail = 0


def _site_row(site: Site) -> tuple[str, str, str, int]:
    return printable(site.name), site.kind, to_json(site), site.id
