"""When a remedy counts as verified: scores that compare, and the criterion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gainstage.diagnosis.progress import Progress

MARGIN: Final = 0.05
"""Share of the way to zero loss that is no difference, however equal the seeds."""
LEFT: Final = 0.25
"""What a remedy may leave of the way that others leave, where they have come far themselves: of six
candidates that do nothing one passes in less than 4 % of trials, even where seeds alone change what
is left by factors of four."""
NOTHING_LEFT: Final = 1e-4
"""Less of the way than that is none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run of the script.

    Attributes:
        progress: how its loss went; None if it never trained.
        told: why it did not get through, or ``""``.
        seconds: how long it took.
        curve: (step, loss), thinned out.
    """

    progress: Progress | None
    told: str = ""
    seconds: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def loss(self) -> float | None:
        """The late loss, or None if there is none that is finite."""
        if self.progress is None or self.progress.diverged or not np.isfinite(self.progress.late):
            return None
        return self.progress.late


def score(outcome: Outcome, unchanged: Outcome) -> float:
    """Share of the way from knowing nothing to zero loss: 0 for nothing learnt, at most 1.

    What knowing nothing costs is the loss of the best constant prediction; where that is not
    known, the late loss of the unchanged run, so that only what is gained on it counts; where that
    is not finite its first loss, and where it never had one, the run's own. A run that broke down,
    or whose loss did, has learnt nothing.

    Args:
        outcome: the run.
        unchanged: the unchanged run of the same seed.

    Example:
        >>> from gainstage.diagnosis.progress import progress
        >>> learnt = Outcome(progress(np.linspace(2.0, 0.2, 50), np.full(50, 2.0)))
        >>> round(score(learnt, learnt), 2)
        0.86
    """
    if outcome.told or outcome.loss is None or outcome.progress is None:
        return 0.0
    reference = outcome.progress.chance
    if unchanged.progress is None or not unchanged.progress.chance > 0:
        reference = _unchanged_loss(outcome, unchanged)
    if not (np.isfinite(reference) and reference):
        return 0.0
    return float(np.clip((reference - outcome.loss) / abs(reference), 0.0, 1.0))


def _unchanged_loss(outcome: Outcome, unchanged: Outcome) -> float:
    if unchanged.loss is not None:
        return unchanged.loss
    starts = [one.progress.initial for one in (unchanged, outcome) if one.progress]
    return next((start for start in starts if np.isfinite(start)), np.nan)


def promising(remedy: float, baseline: float) -> bool:
    """Whether one seed's scores are reason enough to try the others."""
    return remedy > baseline + MARGIN or _left(remedy) < LEFT * _left(baseline)


def _left(score: float) -> float:
    """Share of the way to zero loss that is left."""
    return max(1.0 - score, NOTHING_LEFT)


def proven(remedy: Sequence[float], baseline: Sequence[float], control: Sequence[float]) -> bool:
    """Whether a remedy is verified.

    By what was gained, or else by what is left to gain: the loss of a training that learns well
    has little way to go, and may still be many times what it should be.

    Two conditions, each over all seeds. Its worst run is better than the best of the unchanged
    and the control runs by :data:`MARGIN`; and its mean is better than either one's by more than
    the spread between seeds (largest minus smallest): its own, and the average one of the three
    groups. An unchanged training that is erratic does not by itself stand against a remedy that
    is not. With two seeds and nothing but chance, the first condition alone holds in at most one
    of fifteen trials.

    Args:
        remedy: scores, one a seed.
        baseline: of the unchanged script.
        control: of the control.

    Example:
        >>> proven([0.9, 0.8], [0.0, 0.1], [0.1, 0.0])
        True
        >>> proven([0.9, 0.3], [0.0, 0.1], [0.1, 0.0])
        False
        >>> proven([0.999, 0.998], [0.97, 0.96], [0.96, 0.97])
        True
    """
    if min(map(len, (remedy, baseline, control))) < 2:
        return False
    groups = (remedy, baseline, control)
    by_what_is_left = [[-math.log(_left(score)) for score in group] for group in groups]
    return _better(groups, MARGIN) or _better(by_what_is_left, -math.log(LEFT))


def _better(groups: Sequence[Sequence[float]], margin: float) -> bool:
    """Whether the first of three groups passes both conditions."""
    remedy, baseline, control = groups
    spreads = [max(group) - min(group) for group in groups]
    spread = max(spreads[0], float(np.mean(spreads)))
    gain = float(np.mean(remedy)) - max(float(np.mean(baseline)), float(np.mean(control)))
    return min(remedy) > max(*baseline, *control) + margin and gain > spread


def as_good(
    written: float, remedy: Sequence[float], baseline: Sequence[float], control: Sequence[float]
) -> bool:
    """Whether a remedy that is verified does the same where it is written into the file.

    About what its trials did, or at least better than all others by :data:`MARGIN`; where the
    trials were not, it leaves no more than twice what they did of the way to zero loss.

    Args:
        written: score of the run of the script as the diff writes it.
        remedy: scores of the trials, one a seed.
        baseline: of the unchanged script.
        control: of the control.

    Example:
        >>> as_good(0.8, [0.9, 0.8], [0.0, 0.1], [0.1, 0.0])
        True
        >>> as_good(0.1, [0.9, 0.8], [0.0, 0.1], [0.1, 0.0])
        False
        >>> as_good(0.97, [0.999, 0.998], [0.97, 0.96], [0.96, 0.97])
        False
    """
    others = max(*baseline, *control)
    if min(remedy) <= others + MARGIN:
        return _left(written) <= 2 * _left(min(remedy))
    return written >= min(remedy) - MARGIN or written > others + MARGIN
