"""A run file opened for reading, as a stranger's file is: read-only, checked, with a time limit."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gainstage.store import problems
from gainstage.store.files import disarm_after_fork, keep_alive
from gainstage.store.schema import APPLICATION_ID, VERSION, expected_layout, layout

LONGEST_ROW: Final = 64 * 2**20
"""Bytes: a step of sixteen million series; a longer row is not read at all."""

LONGEST_READING: Final = 60.0
"""Seconds: a file made to keep SQLite busy for ever is given up after this."""

_SMALLEST: Final = 512
"""Bytes: the smallest page there is."""

_NAMES_ANOTHER: Final = bytes.fromhex("d9d505f920a163d7")
"""The end of a journal that names another file."""

_PAUSES: Final = (0.0, 0.01, 0.03, 0.1, 0.3)
"""Seconds before each look at a file that wants to be recovered first."""

_WAIT: Final = 5.0
"""Seconds to wait for a writer that is just leaving WAL mode."""


class Source:
    """Hands out read transactions on a run file.

    A connection to a file in WAL mode keeps the writer from leaving that mode, so it is closed
    after each reading unless the file is held; in any other mode it is kept.

    The file is only ever touched through SQLite: opening and closing it by other means would
    drop the locks of a writer in the same process (POSIX).

    Args:
        path: absolute path of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._kept: sqlite3.Connection | None = None
        self._held = 0
        self._deadline = 0.0
        disarm_after_fork(self)

    def disarm(self) -> None:
        """In a forked child: let go of the parent's connection without touching it."""
        if self._kept is not None:
            keep_alive(self._kept)
            self._finalizer.detach()
            self._kept = None
        self._lock = threading.RLock()  # another thread of the parent may have held the old one

    def hold(self) -> None:
        """Keep the file open until :meth:`close`, whatever its mode."""
        self._held += 1

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file open within the block."""
        with self._lock:
            self._held += 1
            try:
                yield
            finally:
                self._held -= 1
                if not self._held:
                    self._drop()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._held = 0
            self._drop()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file for the block.

        Raises:
            RunFileError: whatever SQLite has to say, in a sentence.
        """
        with self._lock:
            self._deadline = time.monotonic() + LONGEST_READING
            try:
                connection = self._begin()
                try:
                    yield connection
                finally:
                    connection.execute("ROLLBACK")
                if not self._held and self._is_wal():
                    self._drop()
            except sqlite3.Error as error:
                self._drop()
                raise problems.cannot_read(self._path, error) from error
            except BaseException:
                self._drop()
                raise

    def _begin(self) -> sqlite3.Connection:
        """Begin a read transaction; what a kill left half done is waited for, then mended."""
        for pause in _PAUSES:
            if pause:  # even none at all hands the processor to others
                time.sleep(pause)
            try:
                return self._try_to_begin()
            except sqlite3.OperationalError as error:
                self._drop()
                if "readonly" not in str(error):
                    raise
        self._recover()
        return self._try_to_begin()

    def _try_to_begin(self) -> sqlite3.Connection:
        if self._kept is None:
            self._kept = self._open()
        self._kept.execute("BEGIN")
        self._kept.execute("SELECT key FROM meta").fetchone()  # takes the snapshot now
        return self._kept

    def _recover(self) -> None:
        """Let SQLite replay or roll back what a killed writer left.

        A read-only connection may not do that, and a writer that lives would have done it long
        since. Nothing is lost by it and nothing of ours is written. A journal that names another
        one, as those of several databases at once do, is not played back: it would delete that.
        """
        if _names_another(_companions(self._path)[0]):
            raise problems.altered(self._path, "its journal names another file")
        uri = self._path.as_uri() + "?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_WAIT)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def _open(self) -> sqlite3.Connection:
        try:
            is_file, size = self._path.is_file(), self._path.stat().st_size
        except OSError as error:
            if self._path.parent.is_dir() and isinstance(error, FileNotFoundError):
                raise problems.missing(self._path) from error
            raise problems.cannot_read(self._path, error) from error
        if not is_file:
            raise problems.missing(self._path)
        if not size:
            raise problems.empty(self._path)
        if size < _SMALLEST:  # SQLite would take it for an empty database
            raise problems.cannot_read(self._path, "file is not a database")
        for companion in _companions(self._path):
            with contextlib.suppress(FileNotFoundError):  # as most often, or from now on
                if not stat.S_ISREG(companion.lstat().st_mode):
                    told = f"{companion.name!r} beside it is no plain file"
                    raise problems.altered(self._path, told)
        connection = sqlite3.connect(
            self._path.as_uri() + "?mode=ro",
            uri=True,
            timeout=_WAIT,
            isolation_level=None,
            check_same_thread=False,
        )
        self._finalizer = weakref.finalize(self, connection.close)
        try:
            self._check(connection)
        except BaseException:
            self._finalizer()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Make the connection careful, and refuse what is no run file."""
        if hasattr(connection, "setlimit"):  # Python 3.11 and later
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_ROW)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.set_progress_handler(lambda: int(time.monotonic() > self._deadline), 100_000)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise problems.foreign(self._path)
        if version > VERSION:
            raise problems.newer(self._path, version, VERSION)
        if version < 1 or not expected_layout(version) <= layout(connection):
            raise problems.altered(self._path, "its tables are not those of a run")

    def _is_wal(self) -> bool:
        return self._kept is not None and self._kept.execute("PRAGMA journal_mode").fetchone() == (
            "wal",
        )

    def _drop(self) -> None:
        if self._kept is not None:
            self._finalizer()
            self._kept = None


def _companions(path: Path) -> list[Path]:
    """What SQLite opens beside a database; it may be missing, or a pipe that never answers."""
    return [Path(os.path.realpath(path) + suffix) for suffix in ("-journal", "-wal", "-shm")]


def _names_another(journal: Path) -> bool:
    """Whether a rollback journal ends as SQLite ends one that names another file."""
    try:
        with journal.open("rb") as file:
            file.seek(-len(_NAMES_ANOTHER), os.SEEK_END)
            return file.read() == _NAMES_ANOTHER
    except OSError:  # there is none, or a shorter one
        return False
