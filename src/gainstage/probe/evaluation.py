"""Passes in evaluation mode: whether their data are of the same scale as the training's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from torch import Tensor

from gainstage.sketch import rows
from gainstage.sketch.reader import Reader
from gainstage.sketch.rows import Row

MOST: Final = 256
"""Batches of an evaluation that are looked at, for each stage that data enter."""


@dataclass(slots=True)
class _Data:
    """What enters a stage: mean and standard deviation in training, shifts in evaluation."""

    mean: float
    std: float
    shifts: list[float] = field(default_factory=list)


class Evaluation:
    """Compares the data that enter a network in evaluation with those of its training.

    Example:
        >>> import torch
        >>> evaluation, row = Evaluation(Reader()), rows.new(1)[0]
        >>> _ = Reader().read(torch.tensor([-1.0, 1.0]), row)
        >>> evaluation.learn("0", row)
        >>> evaluation.compare("0", torch.tensor([-2.0, 4.0]))
        >>> evaluation.facts
        {'evaluation': {'site': '0', 'shift': 2.0986, 'batches': 1}}
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._data: dict[str, _Data] = {}

    def learn(self, stage: str, row: Row) -> None:
        """A training's data entered a stage, and this is how they were read."""
        found = rows.summary(row)
        if math.isfinite(found.std) and found.std > 0:
            known = self._data.setdefault(stage, _Data(found.mean, found.std))
            known.mean, known.std = found.mean, found.std

    def compare(self, stage: str, data: Tensor) -> None:
        """Data entered the same stage in evaluation."""
        known = self._data.get(stage)
        if known is None or len(known.shifts) >= MOST:
            return
        row = rows.new(1)[0]
        self._reader.read(data, row, fresh=False)
        found = rows.summary(row)
        if math.isfinite(found.std) and found.std > 0:
            shift = abs(found.mean - known.mean) / known.std
            known.shifts.append(shift + abs(math.log(found.std / known.std)))

    @property
    def facts(self) -> dict[str, Any]:
        """The stage whose data are shifted most, by the median over the batches."""
        shifts = {stage: known.shifts for stage, known in self._data.items() if known.shifts}
        if not shifts:
            return {}
        stage = max(shifts, key=lambda stage: median(shifts[stage]))
        found = {"site": stage, "shift": round(median(shifts[stage]), 4)}
        return {"evaluation": {**found, "batches": len(shifts[stage])}}
