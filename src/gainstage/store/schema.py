"""The layout of a run file: its tables, its version, and how older layouts are brought up to it.

A run file is one SQLite database. Numbers live in blobs of little-endian float32, so that a step
is one row (in the file of one rank among several they are float64, as the blob's length tells, so
that merging costs no accuracy); everything else is ordinary rows, and the views ``measured`` and
``overview`` answer plain SQL with names. The column ``json`` holds a whole
record of :mod:`gainstage.records`; the columns beside it repeat what one wants to search for. The
column ``crc`` is described at :func:`gainstage.store.codec.checksum`.
"""

from __future__ import annotations

import functools
import sqlite3
from typing import Final

APPLICATION_ID: Final = 0x4741494E
"""``GAIN`` in ASCII: tells a run file from any other SQLite file."""

PAGE_SIZE: Final = 16384
"""Bytes: seven chunks of 512 float32 fit on a page (of 4096 bytes half a page would be lost)."""

_VERSION_1: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE site (id INTEGER PRIMARY KEY, name TEXT, kind TEXT, json TEXT NOT NULL);
CREATE TABLE series (id INTEGER PRIMARY KEY, site INTEGER NOT NULL, quantity TEXT NOT NULL);
CREATE TABLE frame (
  step INTEGER PRIMARY KEY,
  t REAL,                      -- seconds since the start of the run
  n INTEGER NOT NULL,          -- series known at this step
  crc INTEGER NOT NULL,
  v BLOB NOT NULL              -- float32 [n], by series id; NaN: not measured
);
CREATE TABLE block (           -- the steps of all chunks that share a step0
  step0 INTEGER PRIMARY KEY,
  n INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  v BLOB NOT NULL              -- int64 [n]: the steps; then float64 [n]: their t
);
CREATE TABLE chunk (           -- one series over one block; absent: not measured there
  series INTEGER NOT NULL,
  step0 INTEGER NOT NULL,
  n INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  v BLOB NOT NULL,             -- float32 [n]
  PRIMARY KEY (series, step0)
);
CREATE TABLE rollup (          -- the same in five numbers, over the steps that are not NaN
  series INTEGER NOT NULL,
  step0 INTEGER NOT NULL,
  n INTEGER NOT NULL,          -- how many were not NaN
  min REAL,
  max REAL,
  mean REAL,
  last REAL,
  PRIMARY KEY (series, step0)
) WITHOUT ROWID;
CREATE TABLE hist (            -- a site's histogram over steps step0 .. step0 + window - 1
  site INTEGER NOT NULL,
  window INTEGER NOT NULL,     -- 1, 10, 100 or 1000
  step0 INTEGER NOT NULL,
  n INTEGER NOT NULL,          -- histograms merged
  crc INTEGER NOT NULL,
  v BLOB NOT NULL,             -- gainstage.sketch.Histogram.to_bytes
  PRIMARY KEY (site, window, step0)
);
CREATE TABLE event (
  id INTEGER PRIMARY KEY, step INTEGER NOT NULL, code TEXT, site TEXT, json TEXT NOT NULL
);
CREATE TABLE finding (
  id INTEGER PRIMARY KEY, code TEXT, severity TEXT, site TEXT, json TEXT NOT NULL
);
CREATE VIEW measured AS
  SELECT series.id AS series, site.name AS site, site.kind AS kind, series.quantity AS quantity
  FROM series JOIN site ON site.id = series.site;
CREATE VIEW overview AS
  SELECT measured.site, measured.kind, measured.quantity, rollup.step0 AS step, rollup.n,
         rollup.min, rollup.max, rollup.mean, rollup.last
  FROM rollup JOIN measured USING (series);
"""

_VERSION_2: Final = """
CREATE TABLE remedy (          -- what the doctor tried on the script, the best first
  id INTEGER PRIMARY KEY, name TEXT, verified INTEGER NOT NULL, json TEXT NOT NULL
);
"""

MIGRATIONS: Final[tuple[str, ...]] = (_VERSION_1, _VERSION_2)
"""Statements that lead from version i to version i + 1; never edited once released."""

VERSION: Final = len(MIGRATIONS)


REMEDIES: Final = 2
"""The first version with remedies."""


def migrate(connection: sqlite3.Connection, version: int | None = None) -> None:
    """Bring a database to the present layout, in one transaction.

    Args:
        connection: in autocommit mode; an empty database is at version 0.
        version: which to end at; None for the newest.
    """
    version = len(MIGRATIONS) if version is None else version
    connection.execute("BEGIN IMMEDIATE")
    try:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        for script in MIGRATIONS[found:version]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {max(found, version)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def layout(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Name and definition of every table that a database declares."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"
    )
    return frozenset((str(name), str(sql)) for name, sql in rows)


@functools.cache
def expected_layout(version: int = VERSION) -> frozenset[tuple[str, str]]:
    """The tables of a version: a file that declares others is not read.

    Comparing the definitions word by word keeps a stranger's file from putting a view, a
    virtual table or a generated column where a plain table is meant.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(connection, version)
        return layout(connection)
    finally:
        connection.close()


def _statements(script: str) -> list[str]:
    """Split a script; ``executescript`` would commit the transaction that is open."""
    found: list[str] = []
    current = ""
    for line in script.strip().splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            found.append(current.strip())
            current = ""
    return found
