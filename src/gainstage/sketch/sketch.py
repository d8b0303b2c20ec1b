"""What was measured of one tensor."""

from __future__ import annotations

from dataclasses import dataclass

from gainstage.sketch.histogram import Histogram
from gainstage.sketch.summary import Summary


@dataclass(frozen=True, slots=True)
class Sketch:
    """What was measured of one tensor.

    Attributes:
        summary: exact moments and counts.
        histogram: log-linear histogram of all elements; None if it was not asked for.
        reason: why nothing was measured; ``""`` if it was. The summary is empty then.
    """

    summary: Summary
    histogram: Histogram | None
    reason: str = ""

    def __add__(self, other: Sketch) -> Sketch:
        histogram = None
        if self.histogram is not None and other.histogram is not None:
            histogram = self.histogram + other.histogram
        return Sketch(self.summary + other.summary, histogram, self.reason or other.reason)
