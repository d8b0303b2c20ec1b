"""What an experiment of the lab came to: published figures beside measured ones.

``gainstage lab run`` writes such results. Not in the registry of views, for those are of one run.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from gainstage.errors import RunFileError
from gainstage.views.view import number

LARGEST: Final = 4_000_000
"""Bytes of a file of results that is read."""

Verdict = Literal["agrees", "differs", "not judged"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        quantity: what was measured.
        kind: deterministic (D), chaotic though seeded (C), or random (R).
        published: what was published; None where nothing was.
        measured: what came out; None if it is no finite number.
        low: the least value that agrees; None if there is no bound.
        high: the greatest, likewise.
        verdict: whether it agrees.
    """

    quantity: str
    kind: str
    published: float | None
    measured: float | None
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ExperimentTable:
    """The figures of one experiment.

    Attributes:
        name: of the experiment.
        options: its parameters: name and value as text.
        quick: whether it was a short run.
        seconds: how long it took.
        figures: in the experiment's order.
        agreeing: how many agree.
        judged: how many could be judged.
    """

    name: str
    options: tuple[tuple[str, str], ...]
    quick: bool
    seconds: float
    figures: tuple[Figure, ...]
    agreeing: int
    judged: int


class _Row(msgspec.Struct, frozen=True):
    quantity: str
    measured: float | None
    low: float | None
    high: float | None
    published: float | None = None
    kind: str = "R"
    asked: bool = True
    inside: bool = False


class _Results(msgspec.Struct, frozen=True):
    experiment: str
    rows: Annotated[list[_Row], msgspec.Meta(max_length=2_000)]
    options: dict[str, Any] = {}
    quick: bool = False
    seconds: float = 0.0


def read_experiment(path: str | os.PathLike[str]) -> ExperimentTable:
    """The results of an experiment; the file is taken for a stranger's.

    Args:
        path: of ``results.json``.

    Raises:
        RunFileError: it is missing, too large, or holds something else.
    """
    file = Path(path)
    try:
        results = _results(file)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        msg = f"The results '{file.parent.name}/{file.name}' cannot be read: {error}."
        raise RunFileError(msg) from error
    figures = tuple(map(_figure, results.rows))
    judged = [figure for figure in figures if figure.verdict != "not judged"]
    return ExperimentTable(
        name=results.experiment,
        options=tuple((key, str(value)[:200]) for key, value in results.options.items()),
        quick=results.quick,
        seconds=number(results.seconds) or 0.0,
        figures=figures,
        agreeing=sum(figure.verdict == "agrees" for figure in judged),
        judged=len(judged),
    )


def _results(file: Path) -> _Results:
    if file.stat().st_size > LARGEST:
        msg = f"it has {file.stat().st_size:,} bytes"
        raise ValueError(msg)
    # a bound may be "Infinity", which is no JSON but what Python writes
    told = json.loads(file.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    return msgspec.convert(told, _Results)


def _figure(row: _Row) -> Figure:
    agrees: Verdict = "agrees" if row.inside else "differs"
    return Figure(
        quantity=row.quantity,
        kind=row.kind,
        published=_known(row.published),
        measured=_known(row.measured),
        low=_known(row.low),
        high=_known(row.high),
        verdict=agrees if row.asked else "not judged",
    )


def _known(value: float | None) -> float | None:
    return None if value is None else number(value, 7)
