"""What may still be written to a run when its training is over: findings and remedies."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from gainstage.records import Finding, Remedy
from gainstage.store import problems
from gainstage.store.codec import printable, to_json
from gainstage.store.files import transaction
from gainstage.store.schema import migrate
from gainstage.store.source import Source


def save_findings(path: str | os.PathLike[str], findings: Sequence[Finding]) -> None:
    """Store findings with a run, in place of those stored before.

    While the training still runs, leave this to its :class:`~gainstage.store.Writer`.

    Args:
        path: of a run file, finished or left by a kill.
        findings: main one first.

    Raises:
        RunFileError: it is no sound run file, or it cannot be written.
    """
    with opened(Path(path).absolute()) as connection:
        replace_findings(connection, findings)


def save_remedies(path: str | os.PathLike[str], remedies: Sequence[Remedy]) -> None:
    """Store what was tried with a run, in place of what was stored before.

    A file of an older format is brought up to the present one.

    Args:
        path: of a run file, finished or left by a kill.
        remedies: verified ones first.

    Raises:
        RunFileError: it is no sound run file, or it cannot be written.
    """
    rows = [(printable(r.name), r.verified, to_json(r)) for r in remedies]
    with opened(Path(path).absolute()) as connection:
        migrate(connection)
        with transaction(connection):
            connection.execute("DELETE FROM remedy")
            connection.executemany(
                "INSERT INTO remedy (name, verified, json) VALUES (?, ?, ?)", rows
            )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A sound run file, open to be written to.

    Raises:
        RunFileError: it is none, or it cannot be written.
    """
    source = Source(path)
    with source.reading() as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger'").fetchone():
            raise problems.altered(path, "it has triggers, which no run has")
    source.close()
    try:
        with contextlib.closing(
            sqlite3.connect(path.as_uri() + "?mode=rw", uri=True, isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # the training's writer does that
            yield connection
    except sqlite3.Error as error:
        raise problems.cannot_write(path, error) from error


def replace_findings(connection: sqlite3.Connection, findings: Sequence[Finding]) -> None:
    """Write findings in place of all there are, in one transaction."""
    rows = [(f.code, f.severity, printable(f.site), to_json(f)) for f in findings]
    with transaction(connection):
        connection.execute("DELETE FROM finding")
        connection.executemany(
            "INSERT INTO finding (code, severity, site, json) VALUES (?, ?, ?, ?)", rows
        )
