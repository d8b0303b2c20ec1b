"""What a sweep found: a row for each combination, and the best with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from gainstage.sweeps.space import Axis, Point, told
from gainstage.sweeps.trials import Trial
from gainstage.theory.students import quantile

LEVEL: Final = 0.95
"""Of every interval."""


@dataclass(frozen=True, slots=True)
class Row:
    """One combination, over its seeds.

    Attributes:
        point: a value for each axis.
        trials: the longest ones that were made, by seed.
    """

    point: Point
    trials: tuple[Trial, ...]

    @property
    def losses(self) -> NDArray[np.float64]:
        """Late losses, one a seed; infinite where a training failed."""
        return np.array([trial.loss for trial in self.trials], dtype=np.float64)

    @property
    def mean(self) -> float:
        """Of the late losses."""
        return float(self.losses.mean())

    @property
    def spread(self) -> float:
        """Standard deviation between the seeds; NaN for a single one or where one failed."""
        if len(self.trials) < 2 or not np.isfinite(self.losses).all():
            return math.nan
        with np.errstate(over="ignore"):  # of a loss that is as good as infinite
            return float(self.losses.std(ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean, by Student's t; as wide as can be for a single seed."""
        n = len(self.trials)
        if not math.isfinite(self.spread):
            return (-math.inf, math.inf) if math.isfinite(self.mean) else (self.mean, self.mean)
        half = quantile(LEVEL, n - 1) * self.spread / math.sqrt(n)
        return self.mean - half, self.mean + half

    @property
    def steps(self) -> int:
        """How long its trainings were."""
        return self.trials[0].steps

    @property
    def made(self) -> int:
        """How far the longest of them came, as far as its curve tells: a script may end before."""
        ends = [trial.curve[-1][0] + 1 for trial in self.trials if trial.curve]
        return max(ends, default=self.steps)

    @property
    def failed(self) -> str:
        """Why a training failed; ``""`` if none did."""
        return next((trial.told for trial in self.trials if trial.told), "")

    @override
    def __str__(self) -> str:
        return ", ".join(f"{name}={told(value)}" for name, value in self.point)


@dataclass(frozen=True, slots=True)
class Best:
    """The best combination, and which others may be as good.

    Attributes:
        row: the one with the smallest mean loss among those that were trained to the end.
        ties: of those, the ones that the seeds do not tell from it: the interval of the difference,
            seed by seed, holds zero. All others are worse, each with 95 % confidence. With a
            single seed nothing can be told apart.
    """

    row: Row
    ties: tuple[Row, ...]


class Results:
    """All trials of a sweep, and what follows from them.

    Args:
        axes: what was varied.
        trials: in any number.
        what: was swept: a script or a function, by name.
    """

    def __init__(self, axes: Sequence[Axis], trials: Sequence[Trial], what: str = "") -> None:
        self.axes = tuple(axes)
        self.what = what
        self.trials = tuple(trials)
        longest: dict[Point, dict[int, Trial]] = {}
        for trial in sorted(trials, key=lambda one: one.steps):
            held = longest.setdefault(trial.point, {})
            if held and next(iter(held.values())).steps < trial.steps:
                held.clear()
            held[trial.seed] = trial
        self.rows = tuple(
            Row(point, tuple(held[seed] for seed in sorted(held)))
            for point, held in longest.items()
        )

    @property
    def steps(self) -> int:
        """Of a whole training."""
        return max((row.steps for row in self.rows), default=0)

    @property
    def best(self) -> Best | None:
        """The best combination with its uncertainty; None if every training failed."""
        whole = [row for row in self.rows if row.steps == self.steps and math.isfinite(row.mean)]
        if not whole:
            return None
        first = min(whole, key=lambda row: row.mean)
        ties = [row for row in whole if row is not first and not _worse(row, first)]
        return Best(first, tuple(sorted(ties, key=lambda row: row.mean)))

    def row(self, **point: object) -> Row:
        """The row of a combination.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if dict(row.point) == point:
                return row
        raise KeyError(point)

    def plain(self) -> dict[str, Any]:
        """Everything as JSON holds it; what is not finite is None."""
        best = self.best
        return {
            "what": self.what,
            "axes": {axis.name: list(axis.values) for axis in self.axes},
            "best": None if best is None else dict(best.row.point),
            "ties": [] if best is None else [dict(row.point) for row in best.ties],
            "trials": [
                {
                    **dict(trial.point),
                    "seed": trial.seed,
                    "steps": trial.steps,
                    "loss": _finite(trial.loss),
                    "curve": [(step, _finite(loss)) for step, loss in trial.curve],
                    "told": trial.told,
                    "seconds": trial.seconds,
                    "attempts": trial.attempts,
                }
                for trial in self.trials
            ],
        }

    @override
    def __repr__(self) -> str:
        counts = f"{len(self.rows)} combinations, {len(self.trials)} trials"
        return f"<{type(self).__name__} of {self.what}: {counts}>"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _worse(row: Row, best: Row) -> bool:
    """Whether a row is worse than the best beyond what seeds make, paired by seed."""
    mine = {trial.seed: trial.loss for trial in row.trials}
    pairs = [(mine[t.seed], t.loss) for t in best.trials if t.seed in mine]
    differences = np.array([a - b for a, b in pairs])
    n = len(differences)
    if n < 2 or not np.isfinite(differences).all():
        return n >= 2
    with np.errstate(over="ignore"):
        half = quantile(LEVEL, n - 1) * float(differences.std(ddof=1)) / math.sqrt(n)
    return float(differences.mean()) > half
