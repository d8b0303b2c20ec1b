"""The writer's dealings with the operating system: creating, locking, forking."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gainstage.records import RunInfo
from gainstage.store import problems
from gainstage.store.codec import to_json
from gainstage.store.schema import PAGE_SIZE, migrate


class Disarmable(Protocol):
    """What must not go on in a forked child."""

    def disarm(self) -> None:
        """Called in the child, before anything else runs there."""


_armed: weakref.WeakSet[Disarmable] = weakref.WeakSet()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what the block does."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have rolled back by itself
            connection.execute("ROLLBACK")
        raise


def _make_folder(folder: Path) -> None:
    """``mkdir -p``, with every new folder open to the user alone."""
    if not folder.is_dir():
        if folder.exists() and not folder.is_dir():  # another rank may just have made it
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def create(path: Path, info: RunInfo) -> sqlite3.Connection:
    """Make the file with its tables; a reader finds either nothing in it or all of them.

    Raises:
        RunFileError: there is such a file, or the disk refuses.
    """
    try:
        _make_folder(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise problems.cannot_create(path, error) from error
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        migrate(connection)
        connection.execute("INSERT INTO meta (key, json) VALUES ('info', ?)", (to_json(info),))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 500")  # pages: 8 MB
    except sqlite3.Error as error:
        connection.close()
        path.unlink(missing_ok=True)  # ours, and empty
        raise problems.cannot_create(path, error) from error
    return connection


def leave_wal(connection: sqlite3.Connection) -> None:
    """Turn the file into one that needs no companions; give up if a reader stays in the way."""
    connection.execute("PRAGMA busy_timeout = 100")
    for pause in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4):
        time.sleep(pause)
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",):
                return


def disarm_after_fork(one: Disarmable) -> None:
    """Have :meth:`Disarmable.disarm` called in every child forked from now on."""
    _watch_forks()
    _armed.add(one)


def keep_alive(thing: object) -> None:
    """Keep an object until the process is gone, past the interpreter's own clearing up.

    A connection that came over a fork works on the parent's files when it is closed; so it is
    given a reference that nobody gives up.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


@functools.cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_disarm_all)


def _disarm_all() -> None:
    for one in _armed:
        one.disarm()
