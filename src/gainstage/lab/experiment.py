"""What an experiment is: options, a function, and rows of published beside measured figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from gainstage.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gainstage.landscape import LossMap, Race

Kind = Literal["D", "C", "R"]
"""Deterministic, chaotic though seeded, or random."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of an experiment.

    Attributes:
        quantity: what was measured.
        published: what was published; None where nothing was.
        measured: what came out.
        low: the least value that agrees.
        high: the greatest.
        kind: deterministic, chaotic, or random.
        asked: whether it can be judged, which a short run or other options may rule out.
    """

    quantity: str
    published: float | None
    measured: float
    low: float
    high: float
    kind: Kind
    asked: bool = True

    @property
    def inside(self) -> bool:
        """Whether the measured value agrees; NaN does not."""
        return self.low <= self.measured <= self.high


@dataclass(slots=True)
class Output:
    """Where an experiment puts what it found.

    Attributes:
        folder: for its files.
        quick: whether it is a short run, whose figures are shown and not judged unless it says so.
        rows: its figures so far.
        files: what it wrote.
    """

    folder: Path
    quick: bool = False
    rows: list[Row] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def add(
        self,
        quantity: str,
        measured: float,
        published: float | None,
        within: float | tuple[float, float],
        *,
        kind: Kind = "R",
        quick: bool = False,
    ) -> None:
        """Add a figure.

        Args:
            quantity: what it is.
            measured: its value.
            published: what was published.
            within: the tolerance about that, or the least and greatest value that agree.
            kind: deterministic, chaotic, or random.
            quick: whether a short run comes to the same.
        """
        if isinstance(within, tuple):
            low, high = within
        else:
            centre = measured if published is None else published
            low, high = centre - within, centre + within
        asked = quick or not self.quick
        self.rows.append(Row(quantity, published, float(measured), low, high, kind, asked))

    def picture(self, name: str, figure: Figure) -> None:
        """Keep a matplotlib figure as ``NAME.png``.

        Args:
            name: of the file, without its ending.
            figure: the figure.
        """
        path = self.folder / f"{name}.png"
        figure.savefig(path)
        self.files.append(path)

    def landscape(self, name: str, found: LossMap | Race) -> None:
        """Keep a landscape as ``NAME.npz``, which the page shows.

        Args:
            name: of the file, without its ending.
            found: the map or the race.
        """
        path = self.folder / f"{name}.npz"
        found.save(path)
        self.files.append(path)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A classic experiment.

    Attributes:
        name: what it is called.
        number: in the lab's list.
        title: what it shows, in a line.
        options: a frozen dataclass of its parameters, with the published ones as defaults.
        run: does it.
        quick: options of a short run.
        manual: its docstring.
    """

    name: str
    number: int
    title: str
    options: type[Any]
    run: Callable[[Any, Output], None]
    quick: Mapping[str, Any]
    manual: str


EXPERIMENTS: Final[Registry[Experiment]] = Registry("experiment", "gainstage.lab.experiments")


def experiment(
    name: str, *, number: int, options: type[Any], quick: Mapping[str, Any] | None = None
) -> Callable[[Callable[[Any, Output], None]], Callable[[Any, Output], None]]:
    """File an experiment under its name; the function is returned unchanged.

    Args:
        name: to be called by.
        number: in the lab's list.
        options: a frozen dataclass of its parameters.
        quick: the parameters of a short run that differ.
    """

    def decorate(function: Callable[[Any, Output], None]) -> Callable[[Any, Output], None]:
        manual = (function.__doc__ or "").strip()
        title = manual.partition("\n")[0]
        member = Experiment(name, number, title, options, function, dict(quick or {}), manual)
        EXPERIMENTS.register(name)(member)
        return function

    return decorate
