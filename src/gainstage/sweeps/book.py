"""Where a sweep keeps what it has done: one SQLite file, a row a training, committed at once."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec
from typing_extensions import Self

from gainstage.errors import RunFileError, UsageError
from gainstage.sweeps.trials import Task, Trial

APPLICATION_ID: Final = 0x47535750
"""``GSWP`` in ASCII: tells a sweep's file from any other SQLite file."""

_LAYOUT: Final = """
CREATE TABLE about (json TEXT NOT NULL);
CREATE TABLE trial (task TEXT PRIMARY KEY, loss REAL, json TEXT NOT NULL);
"""


class Book:
    """The trials of one sweep; those that are in it are not made again.

    Args:
        path: of the file, made if missing; None to keep everything in memory.
        about: what is swept; a file of another thing is refused.

    Raises:
        RunFileError: the file is none of a sweep, is damaged, or cannot be written.
        UsageError: it is of another script or function.

    Example:
        >>> with Book(None, {"what": "f"}) as book:
        ...     book.keep(Trial((("lr", 0.1),), 0, 10, 2.5))
        ...     book.found(Task((("lr", 0.1),), 0, 10)).loss
        2.5
    """

    def __init__(self, path: str | os.PathLike[str] | None, about: Mapping[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._told():
            self._connection = sqlite3.connect(self.path or ":memory:", isolation_level=None)
            try:
                self._prepare(json.dumps(dict(about), sort_keys=True))
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def _prepare(self, about: str) -> None:
        self._connection.execute("PRAGMA synchronous = NORMAL")  # with WAL, a kill costs nothing
        (kind,) = self._connection.execute("PRAGMA application_id").fetchone()
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            self._connection.executescript(f"BEGIN;{_LAYOUT}COMMIT;")
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("INSERT INTO about VALUES (?)", (about,))
            return
        if kind != APPLICATION_ID:
            msg = f"'{self.path}' is no file of a sweep: name another one with --store."
            raise RunFileError(msg)
        (known,) = self._connection.execute("SELECT json FROM about").fetchone()
        if known != about:
            msg = (
                f"'{self.path}' holds a sweep of something else ({known}, and not {about}): "
                "name another file with --store."
            )
            raise UsageError(msg)

    def found(self, task: Task) -> Trial | None:
        """What came of a training that was made before."""
        with self._told():
            row = self._connection.execute(
                "SELECT json FROM trial WHERE task = ?", (_key(task),)
            ).fetchone()
            return None if row is None else _decoded(row[0])

    def keep(self, trial: Trial) -> None:
        """Write a trial; when this returns, it survives whatever happens to this process."""
        with self._told():
            text = msgspec.json.encode(_plain(trial)).decode()
            self._connection.execute(
                "INSERT OR REPLACE INTO trial VALUES (?, ?, ?)",
                (_key(trial.task), trial.loss, text),
            )

    def __len__(self) -> int:
        with self._told():
            return int(self._connection.execute("SELECT count(*) FROM trial").fetchone()[0])

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            msg = f"The file of the sweep, '{self.path}', cannot be used: {error}."
            raise RunFileError(msg) from error


def _key(task: Task) -> str:
    return json.dumps([list(map(list, task.point)), task.seed, task.steps])


def _plain(trial: Trial) -> dict[str, Any]:
    """JSON has no infinities: they are texts."""
    plain: dict[str, Any] = msgspec.to_builtins(trial)
    plain["loss"], plain["chance"] = repr(trial.loss), repr(trial.chance)
    plain["curve"] = [[step, repr(loss)] for step, loss in trial.curve]
    return plain


def _decoded(text: str) -> Trial:
    data = msgspec.json.decode(text, type=dict[str, Any])
    data["loss"], data["chance"] = float(data["loss"]), float(data["chance"])
    data["curve"] = tuple((int(step), float(loss)) for step, loss in data["curve"])
    data["point"] = tuple((name, value) for name, value in data["point"])
    return Trial(**data)
