"""Does the training get anywhere? The loss against its start, its best and mere chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GOOD: Final = 0.5
"""Share of the way from chance to zero loss that counts as learning well."""

POOR: Final = 0.1
"""Below this the training has failed to learn."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How a training went, as one look at its loss.

    Attributes:
        steps: number of recorded losses.
        initial: loss at the first step.
        late: median over the last tenth.
        best: smallest running median.
        peak: largest finite loss.
        chance: loss of the best constant prediction; NaN if unknown.
        score: 1 for a loss of zero, 0 for no better than chance (or than the start, where
            chance is unknown), negative for worse.
        diverged: the loss became non-finite.
        falling: share of the loss's whole descent that the last quarter still made.
        trusted: whether the score means something: chance is known, or the first loss may
            stand for it.
    """

    steps: int
    initial: float
    late: float
    best: float
    peak: float
    chance: float
    score: float
    diverged: bool
    falling: float
    trusted: bool = True

    @property
    def good(self) -> bool:
        """The training learns well: whatever looks odd does not hurt it."""
        learnt = self.score >= GOOD and self.trusted
        return learnt and not self.diverged and not self.relapsed

    @property
    def failed(self) -> bool:
        """The training has learnt next to nothing, or lost it again."""
        return self.score < POOR or self.diverged or self.relapsed

    @property
    def relapsed(self) -> bool:
        """The loss went down and came most of the way up again."""
        start = self.initial if np.isnan(self.chance) else min(self.initial, self.chance)
        gained = start - self.best
        return gained > 0.2 * abs(start) and self.late > self.best + 0.7 * gained


def running_median(values: Floats, width: int) -> Floats:
    """Medians of consecutive blocks of `width` values, the last one filled from the end."""
    if len(values) <= width:
        return np.array([np.median(values)]) if len(values) else values
    whole = values[: len(values) // width * width].reshape(-1, width)
    return np.append(np.median(whole, axis=1), np.median(values[-width:]))


def progress(loss: Floats, chance: Floats, *, sound_start: bool = True) -> Progress:
    """Judge a series of losses.

    Args:
        loss: one number a step, NaN where none was recorded: [T].
        chance: loss of the best constant prediction at each step, NaN where unknown: [T].
        sound_start: False if the network started with a signal that makes the loss by itself: the
            first loss then stands for nothing, and a fall from it proves nothing.

    Example:
        >>> p = progress(np.linspace(2.3, 0.2, 50), np.full(50, 2.3))
        >>> round(p.score, 2), p.good
        (0.88, True)
    """
    finite = loss[np.isfinite(loss)]
    diverged = len(loss) > 1 and not np.isfinite(loss[-2:]).any()
    known = chance[np.isfinite(chance)]
    floor = float(np.median(known[-max(len(known) // 4, 1) :])) if len(known) else np.nan
    if not len(finite):
        return Progress(0, np.nan, np.nan, np.nan, np.nan, floor, -1.0, diverged, 0.0)
    tenth = max(len(finite) // 10, min(5, len(finite)))
    initial, late = float(finite[0]), float(np.median(finite[-tenth:]))
    smooth = running_median(finite, max(tenth // 2, 1))
    best = float(min(smooth.min(), late))
    reference = floor if np.isfinite(floor) and floor > 0 else initial
    score = (reference - late) / abs(reference) if reference else 0.0
    three_quarters = float(np.median(finite[: max(3 * len(finite) // 4, 1)][-tenth:]))
    descent = initial - late
    return Progress(
        steps=len(finite),
        initial=initial,
        late=late,
        best=best,
        peak=float(finite.max()),
        chance=floor,
        score=float(np.clip(score, -1e6, 1.0)),
        diverged=diverged,
        falling=float((three_quarters - late) / descent) if descent > 0 else 0.0,
        trusted=sound_start or bool(np.isfinite(floor)),
    )
