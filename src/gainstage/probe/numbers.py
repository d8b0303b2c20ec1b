"""The numbers of one step, from the first reading to the finished frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gainstage.sketch import rows
from gainstage.sketch.elsewhere import Values, bring
from gainstage.sketch.reader import Counts
from gainstage.sketch.rows import Flags, Numbers, Rows

Frame64 = NDArray[np.float64]


@dataclass(slots=True)
class StepNumbers:
    """The numbers of one step, as far as they are known.

    Attributes:
        frame: one a series.
        rows: readings, one a site.
        taken: which of those there are.
        counts: histograms, by site.
        run: quantities of the run.
        later: numbers on other devices, and what to do with them once they are here.
        any: whether anything was measured.
        scaled_loss: the loss as it was differentiated.
        scale: the factor that a gradient scaler has put on it; NaN if none has stepped.
        here: those numbers, once they are.
    """

    frame: Frame64
    rows: Rows
    taken: Flags
    counts: dict[int, Counts] = field(default_factory=dict)
    run: dict[str, float] = field(default_factory=dict)
    later: list[tuple[Tensor, Callable[[Values], None]]] = field(default_factory=list)
    any: bool = False
    scaled_loss: float = 0.0
    scale: float = math.nan
    here: list[Values] = field(default_factory=list)

    @classmethod
    def blank(cls, frame: Frame64, sites: int) -> StepNumbers:
        """Of a step of which nothing is known: as many sites, and a copy of an empty frame."""
        return cls(frame.copy(), rows.new(sites), np.zeros(sites, dtype=np.uint8))

    def fold_run(self, quantity: str, value: float, by: Callable[[float, float], float]) -> None:
        """Set a quantity of the run; of two known numbers, what `by` makes of them counts."""
        held = self.run.get(quantity, math.nan)
        if math.isnan(held) or math.isnan(value):
            self.run[quantity] = value if math.isnan(held) else held
        else:
            self.run[quantity] = by(held, value)

    def use(self) -> None:
        """Record what was brought here."""
        for (_, use), values in zip(self.later, self.here, strict=True):
            use(values)
        self.later.clear()
        self.here.clear()

    def finish(self, columns: Numbers, run: Mapping[str, int], grads: Numbers) -> None:
        """Fill the frame from the readings, and leave no trace of them in the rows.

        Args:
            columns: int64, one a site: its first column.
            run: columns of the run's own quantities.
            grads: int64, the sites over which the gradient's norm is taken.
        """
        frame = self.frame
        if self.any:
            frame[run["grad_norm"]] = rows.norm_of_all(self.rows, self.taken, grads)
            rows.write(self.rows, self.taken, columns, frame)
            self.taken.fill(0)
        if not math.isnan(self.scale) and "loss" in self.run:
            self.run["loss"] = self.scaled_loss / self.scale
        for quantity, value in self.run.items():
            frame[run[quantity]] = value


def brought(steps: Sequence[StepNumbers]) -> Iterator[StepNumbers]:
    """Steps with their numbers of other devices, which are brought here all at once."""
    if not steps:
        return
    arrays = iter(bring([numbers for step in steps for numbers, _ in step.later]))
    for step in steps:
        step.here = [next(arrays) for _ in step.later]
        yield step
