"""Everything in a run file that is a record rather than a number."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from typing_extensions import TypedDict

from gainstage.records import SCHEMA, Event, Finding, Remedy, RunInfo, Site
from gainstage.store import problems
from gainstage.store.codec import from_json
from gainstage.store.schema import REMEDIES

T = TypeVar("T")

_LONGEST: Final = 1e11
"""Seconds: about the year 5000, which every calendar can tell."""

MOST_SITES: Final = 200_000
MOST_SERIES: Final = 2_000_000
MOST_EVENTS: Final = 100_000
MOST_REMEDIES: Final = 100
"""Rows beyond these are no longer a run that anybody watched; later events are left out."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The records of a run.

    Attributes:
        info: what is known of the run as a whole.
        sites: by id.
        series: (site id, quantity) to series id.
        quantities: site id to its quantities, in the order of their series.
        events: in the order in which they were written.
        findings: main one first.
        remedies: what was tried, verified ones first; older files have none.
    """

    info: RunInfo
    sites: tuple[Site, ...]
    series: dict[tuple[int, str], int]
    quantities: dict[int, tuple[str, ...]]
    events: tuple[Event, ...]
    findings: tuple[Finding, ...]
    remedies: tuple[Remedy, ...]

    def like(self, other: Catalogue) -> Catalogue:
        """The same, that keeps no copies of its own of what `other` names alike."""
        alike = {
            name: getattr(other, name)
            for name in ("sites", "series", "quantities")
            if getattr(self, name) == getattr(other, name)
        }
        return replace(self, **alike)


def read_catalogue(connection: sqlite3.Connection, path: Path) -> Catalogue:
    """Read and check all records.

    Args:
        connection: in a read transaction.
        path: for the messages.

    Raises:
        RunFileError: a record is not one that Gainstage would have written.
    """
    try:
        info = _records(connection, "SELECT json FROM meta WHERE key = 'info' LIMIT ?", RunInfo, 1)
        if not info:
            raise problems.empty(path)
        if info[0].schema > SCHEMA:
            raise problems.newer(path, info[0].schema, SCHEMA)
        _check(info[0])
        sites = _records(connection, "SELECT json FROM site ORDER BY id LIMIT ?", Site, MOST_SITES)
        if [site.id for site in sites] != list(range(len(sites))):
            raise problems.altered(path, "its sites are not numbered 0, 1, 2, ...")
        series = _series(connection, len(sites))
        events = _records(
            connection, "SELECT json FROM event ORDER BY id LIMIT ?", Event, MOST_EVENTS
        )
        findings = _records(
            connection, "SELECT json FROM finding ORDER BY id LIMIT ?", Finding, MOST_EVENTS
        )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tried = "SELECT json FROM remedy ORDER BY id LIMIT ?"
        remedies = _records(connection, tried, Remedy, MOST_REMEDIES) if version >= REMEDIES else []
    except ValueError as error:
        raise problems.altered(path, str(error)) from error
    quantities: dict[int, list[str]] = {}
    for site, quantity in series:
        quantities.setdefault(site, []).append(quantity)
    return Catalogue(
        info=info[0],
        sites=tuple(sites),
        series=series,
        quantities={site: tuple(names) for site, names in quantities.items()},
        events=tuple(events),
        findings=tuple(findings),
        remedies=tuple(remedies),
    )


class _Evaluation(TypedDict, total=False):
    site: str
    shift: float


class _Facts(TypedDict, total=False):
    """Facts that rules reckon with; others are shown and may be anything."""

    loss: str
    optimizers: list[str]
    evaluation: _Evaluation


def _check(info: RunInfo) -> None:
    """Refuse times that are none, and facts of another kind than are written.

    Raises:
        ValueError: saying which.
    """
    for name in ("started", "seconds", "probe_seconds"):
        if not 0.0 <= getattr(info, name) < _LONGEST:
            msg = f"its {name} are {getattr(info, name)!r}"
            raise ValueError(msg)
    msgspec.convert(info.facts, _Facts)


def _records(connection: sqlite3.Connection, query: str, kind: type[T], most: int) -> list[T]:
    return [from_json(text, kind) for (text,) in connection.execute(query, (most,))]


def _series(connection: sqlite3.Connection, sites: int) -> dict[tuple[int, str], int]:
    found: dict[tuple[int, str], int] = {}
    rows = connection.execute(
        "SELECT id, site, quantity FROM series ORDER BY id LIMIT ?", (MOST_SERIES,)
    )
    for position, (index, site, quantity) in enumerate(rows):
        known = isinstance(site, int) and 0 <= site < sites and isinstance(quantity, str)
        if not known or index != position:
            msg = f"series {position} has no site or is numbered {index!r}"
            raise ValueError(msg)
        found.setdefault((site, quantity), index)
    return found
