"""Maps of a loss, kept in the file of the run that they are about.

A map is made when the training is over, if at all, and by whoever opens the run: so its table is
not of the format, but is added to a file with the first map.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from pathlib import Path
from typing import Final

from gainstage.errors import RunFileError
from gainstage.store import problems
from gainstage.store.amend import opened
from gainstage.store.files import transaction
from gainstage.store.schema import layout
from gainstage.store.source import Source

_TABLE: Final = "CREATE TABLE map (name TEXT PRIMARY KEY, crc INTEGER NOT NULL, v BLOB NOT NULL)"


def save_map(path: str | os.PathLike[str], name: str, data: bytes) -> None:
    """Keep a map with a run, in place of one of the same name.

    Args:
        path: of a run file, finished or left by a kill.
        name: to find it by.
        data: of the map; what is in it is not looked at.

    Raises:
        RunFileError: it is no sound run file, or it cannot be written.
    """
    with opened(Path(path).absolute()) as connection, transaction(connection):
        if not _has_maps(connection):
            connection.execute(_TABLE)
        row = (name, zlib.crc32(data), data)
        connection.execute("INSERT OR REPLACE INTO map (name, crc, v) VALUES (?, ?, ?)", row)


def load_map(path: str | os.PathLike[str], name: str) -> bytes:
    """A map that was kept with a run.

    Args:
        path: of a run file.
        name: by which it was kept.

    Raises:
        RunFileError: there is none of that name, or the file is not sound.
    """
    path = Path(path).absolute()
    rows = _ask(path, "SELECT crc, v FROM map WHERE name = ?", (name,))
    if not rows:
        there_are = ", ".join(map(repr, map_names(path))) or "none"
        msg = f"The run file {str(path)!r} has no map {name!r}. There are: {there_are}."
        raise RunFileError(msg)
    ((crc, data),) = rows
    if not isinstance(data, bytes) or zlib.crc32(data) != crc:
        raise problems.altered(path, f"the map {name!r} is not what was written")
    return data


def map_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of the maps that are kept with a run.

    Raises:
        RunFileError: the file is not sound.
    """
    return tuple(str(name) for (name,) in _ask(Path(path), "SELECT name FROM map ORDER BY name"))


def _ask(path: Path, query: str, values: tuple[str, ...] = ()) -> list[tuple[object, ...]]:
    source = Source(path.absolute())
    try:
        with source.reading() as connection:
            return list(connection.execute(query, values)) if _has_maps(connection) else []
    finally:
        source.close()


def _has_maps(connection: sqlite3.Connection) -> bool:
    return ("map", _TABLE) in layout(connection)
