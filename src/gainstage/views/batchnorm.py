"""BatchNorm: the statistics of the batches against the running ones, which evaluation uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gainstage.diagnosis.rules.train_eval_gap import GAP, noise_of_batch
from gainstage.recording import Recording
from gainstage.records import Site
from gainstage.views.view import Numbers, by_name, columns, median, number, numbers, view

QUANTITY: Final = "running_gap"

_COLUMNS = 300


@dataclass(frozen=True, slots=True)
class NormGap:
    """How far one BatchNorm's output would move if it used its running statistics.

    Attributes:
        name: of the stage.
        gap: in standard deviations of its normalised output, rms over the channels, the largest
            of each column's steps; None where nothing was measured.
        late: median over the second half of the steps.
        noise: what a batch of its size is off by chance.
    """

    name: str
    gap: Numbers
    late: float | None
    noise: float | None


@dataclass(frozen=True, slots=True)
class NormChart:
    """All BatchNorms in forward order.

    Attributes:
        steps: first step of each column.
        norms: of each stage the gap.
        limit: beyond this much more than by chance, evaluation meets another network.
    """

    steps: tuple[int, ...]
    norms: tuple[NormGap, ...]
    limit: float = GAP


@view("batchnorm")
def norm_chart(recording: Recording, *, limit: int = _COLUMNS) -> NormChart:
    """Gaps between batch and running statistics over the steps.

    It is measured now and then, in training mode; a column without a look is None.

    Args:
        recording: the run.
        limit: at most this many columns of steps.

    Example:
        >>> from gainstage.recording import MemoryRecording
        >>> norm = Site(0, "bn", "output", "bn", "BatchNorm1d", 0, (32, 8))
        >>> run = MemoryRecording([norm], {(0, "running_gap"): [1.5, 0.5, 0.3]})
        >>> [(one.name, one.gap, one.late) for one in norm_chart(run).norms]
        [('bn', (1.5, 0.5, 0.3), 0.3)]
    """
    points = columns(recording.steps, limit, recording.ends)
    gaps = []
    for site in norms_of(recording):
        gap = recording.values(site, QUANTITY).astype(np.float64)
        if np.isnan(gap).all():
            continue
        gaps.append(
            NormGap(
                name=site.name,
                gap=numbers(points.reduce(gap, "max"), 4),
                late=number(median(gap[len(gap) // 2 :])),
                noise=number(noise_of_batch(site)),
            )
        )
    return NormChart(points.first, tuple(gaps))


def norms_of(recording: Recording) -> list[Site]:
    """The BatchNorms of a network, in forward order."""
    return [site for site in by_name(recording, "output").values() if "BatchNorm" in site.op]
