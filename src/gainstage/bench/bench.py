"""What a benchmark is, and how contestants are timed fairly on a noisy machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from gainstage.registry import Registry


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a benchmark's table.

    Attributes:
        name: the contestant.
        value: what was measured; None for a line that only gives a ratio.
        unit: of the value.
        ratio: to the benchmark's yardstick, by which it is judged; None for what is only shown.
        reach: what the ratio should be: ``("<=", 8.0)``; None where nothing is promised.
        workload: what the contestant worked on, in a benchmark that has several.
        wall: the same by the wall clock, where `value` is CPU time.
    """

    name: str
    value: float | None = None
    unit: str = ""
    ratio: float | None = None
    reach: tuple[str, float] | None = None
    workload: str = ""
    wall: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the promise holds (True where nothing is promised)."""
        if self.reach is None or self.ratio is None:
            return True
        sign, bound = self.reach
        return self.ratio <= bound if sign == "<=" else self.ratio >= bound


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of a benchmark; each heeds what concerns it.

    Attributes:
        peers: measure also what needs the extra ``bench``, if there is any.
        half: half of the corpus of scripts: ``"dev"`` or ``"held"``.
        vary: number of varied versions of each script, in place of the script itself.
        baseline: score the published thresholds beside our own verdicts.
        trials: have remedies tried as well.
    """

    peers: bool = False
    half: str = "dev"
    vary: int = 0
    baseline: bool = False
    trials: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a benchmark measured.

    Attributes:
        lines: figures and promises.
        grids: tables that show them better than one line each would; they take its place.
        data: everything, plain enough for JSON.
    """

    lines: list[Line]
    grids: tuple[Grid, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


class Bench(Protocol):
    """Measures."""

    def __call__(self, settings: Settings) -> Outcome:
        """Measure what `settings` ask for."""
        ...


BENCHES: Final[Registry[Bench]] = Registry("benchmark", "gainstage.bench.benches")


def interleaved(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int = 101
) -> dict[str, float]:
    """Median seconds of each contestant, all of them run in turn, round after round.

    So a machine that slows down slows them all alike.

    Args:
        contestants: what to call, by name.
        rounds: how often; one more, not counted, comes first.
    """
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(rounds + 1):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if round_:
                spent[name].append(time.perf_counter() - start)
    return {name: float(np.median(times)) for name, times in spent.items()}
