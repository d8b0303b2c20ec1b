"""The update:data ratio: how far one step moves a weight, relative to the weight.

``log10(rms(update) / rms(weight))`` with the exact update (after minus before the step), so it is
right for any optimiser. About -3 is a healthy pace (Karpathy 2015, CS231n); -1 shakes the weights
to pieces, -5 leaves them where they are. Vectors (biases, norm scales) start at zero or one and
say little, so only parameters of two or more dimensions are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gainstage.recording import Recording
from gainstage.views.view import Numbers, by_name, columns, median, number, numbers, view

GUIDE = -3.0
"""log10 of the pace that is about right."""

_COLUMNS = 300


@dataclass(frozen=True, slots=True)
class Pace:
    """The log10 update:data ratio of one weight.

    Attributes:
        name: the parameter.
        ratio: mean over each column's steps of the log10 ratio; None where the weight stood
            still (an update of zero) or nothing was measured.
        still: share of the measured steps in which the weight did not move at all.
        median: of the log10 ratio over the run, still steps left out.
    """

    name: str
    ratio: Numbers
    still: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class UpdateChart:
    """The paces of all weights in forward order; ``steps`` are the columns' first steps."""

    steps: tuple[int, ...]
    paces: tuple[Pace, ...]
    guide: float = GUIDE


@view("updates")
def update_chart(recording: Recording, *, limit: int = _COLUMNS) -> UpdateChart:
    """Log10 update:data ratio of every weight of two or more dimensions.

    Args:
        recording: the run.
        limit: at most this many columns of steps.
    """
    points = columns(recording.steps, limit, recording.ends)
    updates = by_name(recording, "update")
    paces = []
    for name, site in by_name(recording, "weight").items():
        if len(site.shape) < 2 or name not in updates:
            continue
        moved = recording.values(updates[name], "rms").astype(np.float64)
        size = recording.values(site, "rms").astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log10(moved / size)
        known = moved[np.isfinite(moved)]
        paces.append(
            Pace(
                name=name,
                ratio=numbers(points.reduce(ratio, "mean"), 4),
                still=number(float(np.mean(known == 0))) if len(known) else None,
                median=number(median(ratio[np.isfinite(ratio)])),
            )
        )
    return UpdateChart(points.first, tuple(paces))
