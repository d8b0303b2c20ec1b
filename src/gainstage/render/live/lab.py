"""The results of experiments that lie beside the runs of a folder: tables and landscapes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from gainstage.errors import RunFileError, UsageError
from gainstage.views.experiment import ExperimentTable, read_experiment
from gainstage.views.landscape import Landscape, read_landscape

MOST: Final = 200
"""Experiments of a folder that are listed."""

_RESULTS: Final = "results.json"
_HOMES: Final = ("", "lab")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class LabQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A question about one experiment, as it comes in an address.

    Attributes:
        lab: name of its folder.
        map: name of one of its landscapes.
    """

    lab: Name
    map: Annotated[str, msgspec.Meta(max_length=300)] = ""


def lab_asked(parameters: Mapping[str, str]) -> LabQuery:
    """The question in the parameters of an address.

    Raises:
        UsageError: a parameter is unknown, missing or too long.
    """
    try:
        return msgspec.convert(dict(parameters), LabQuery, strict=False)
    except msgspec.ValidationError as error:
        msg = f"The address makes no sense: {error}."
        raise UsageError(msg) from error


@dataclass(frozen=True, slots=True)
class Kept:
    """An experiment that was kept.

    Attributes:
        name: of its folder.
        written: when, in seconds since the epoch.
        table: its figures; None if they cannot be read.
        maps: names of its landscapes.
        problem: why they cannot be read.
    """

    name: str
    written: float
    table: ExperimentTable | None
    maps: tuple[str, ...]
    problem: str = ""


class LabShelf:
    """The experiments in a folder, or in the folder ``lab`` in it.

    As with runs, a name is only ever looked up among those that were found, and what lies outside
    the folder, by way of a link, is not found.

    Args:
        folder: it may be missing, and may appear later.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def experiments(self) -> dict[str, Any]:
        """All experiments by name."""
        return {"folder": str(self.folder), "experiments": [*map(self._kept, self._find())]}

    def experiment(self, query: LabQuery) -> Kept:
        """One experiment.

        Raises:
            RunFileError: there is none of that name.
        """
        return self._kept(self._place(query.lab).name)

    def landscape(self, query: LabQuery) -> Landscape:
        """One landscape of an experiment.

        Raises:
            RunFileError: there is none of that name, or it cannot be read.
        """
        maps = self._maps(self._place(query.lab))
        if query.map not in maps:
            msg = f"There is no landscape called {query.map[:80]!r} in {query.lab[:80]!r}."
            raise RunFileError(msg)
        return read_landscape(maps[query.map])

    def _find(self) -> dict[str, Path]:
        """Folders with results, by name."""
        found = {
            path.parent.name: path.parent
            for home in _HOMES
            for path in (self.folder / home).glob(f"*/{_RESULTS}")
            if self._is_inside(path)
        }
        return dict(sorted(found.items())[:MOST])

    def _place(self, name: str) -> Path:
        place = self._find().get(name)
        if place is None:
            msg = f"There is no experiment called {name[:80]!r} here."
            raise RunFileError(msg)
        return place

    def _maps(self, place: Path) -> dict[str, Path]:
        found = sorted(path for path in place.glob("*.npz") if self._is_inside(path))
        return {path.stem: path for path in found[:MOST]}

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.folder.resolve())

    def _kept(self, name: str) -> Kept:
        place = self._place(name)
        file = place / _RESULTS
        maps = tuple(self._maps(place))
        try:
            return Kept(name, file.stat().st_mtime, read_experiment(file), maps)
        except (OSError, RunFileError) as error:
            return Kept(name, 0.0, None, maps, problem=str(error))
