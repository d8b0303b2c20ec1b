"""In evaluation the network meets other signals than in training.

Problem: the data of the evaluation are of another scale than those of the training, or BatchNorm's
running statistics, which it uses in evaluation, are far from those of the batches that the network
was trained on. The loss of the training looks well, and the score of the evaluation does not.

Why: the two ways of preparing data differ (one is standardised, the other is not). Or the running
averages lag behind (momentum too small for the length of the training, weights that still move
fast), or the batches differ from their mean (too small, or sorted by class).

What to do: prepare both alike, with the mean and deviation of the training's data. For BatchNorm:
train longer or raise ``momentum``; shuffle; larger batches; before evaluating, pass some batches
through in training mode without steps; or use GroupNorm or LayerNorm.

Harmless when: the training has only just begun.

Source: Ioffe & Szegedy 2015, section 3.1; Wu & Johnson 2021, "Rethinking Batch in BatchNorm".
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding, Site

GAP = 1.0
"""Shift of the normalised output, in its standard deviations, beyond what small batches explain."""
LARGE = 3.0
"""At that the answers of the network are another network's."""
SHIFT = 1.5
"""Shift of the mean of the data, in the training's standard deviations, plus that of the logarithm
of the deviation; augmentation stays below."""
FAR = 10.0
"""At that other data are meant; below it, a training that learns well may be asked on purpose for
more than it has seen."""
SETTLED = 50
"""Steps after which the usual momentum of 0.1 has forgotten the start."""


@rule("train-eval-gap")
def check(evidence: Evidence) -> Iterable[Finding]:
    """Compare the data of both, and running with batch statistics late in the training."""
    yield from _data(evidence)
    if len(evidence.recording.steps) < SETTLED:
        return
    gaps = [(_late(evidence, s), s) for s in evidence.outputs if "BatchNorm" in s.op]
    gaps = [(gap - noise_of_batch(s), s) for gap, s in gaps if np.isfinite(gap)]
    worst, site = max(gaps, key=lambda pair: pair[0], default=(0.0, None))
    if site is None or worst < GAP:
        return
    yield Finding(
        code="train-eval-gap",
        severity="error" if worst > LARGE else "warning",
        confidence=confidence(float(np.log2(worst)), float(np.log2(GAP)), 0.8),
        site=site.name,
        since_step=evidence.step_at(len(evidence.steps) // 2),
        message=(
            f"In evaluation the output of {site.name} would move by {worst:.2g} of its standard "
            "deviation: the running statistics are not those of the batches."
        ),
        evidence={"running_gap": worst, "noise_of_the_batch": noise_of_batch(site)},
        threshold={"running_gap": GAP},
    )


def _data(evidence: Evidence) -> Iterable[Finding]:
    """Mean and deviation of what enters in evaluation, against the training's."""
    found = evidence.recording.info.facts.get("evaluation")
    if not isinstance(found, dict) or not float(found.get("shift", 0.0)) > SHIFT:
        return
    site, shift = str(found.get("site", "")), float(found["shift"])
    yield Finding(
        code="train-eval-gap",
        severity="warning" if evidence.progress.good and shift < FAR else "error",
        confidence=confidence(float(np.log2(shift)), float(np.log2(SHIFT)), 0.8),
        site=site,
        since_step=evidence.step_at(0),
        message=(
            f"The data that enter {site} in evaluation are not of the training's scale: mean and "
            f"logarithm of the deviation are off by {shift:.2g} together."
        ),
        evidence={"shift_of_the_data": shift, "batches": found.get("batches", 0)},
        threshold={"shift_of_the_data": SHIFT},
    )


def _late(evidence: Evidence, site: Site) -> float:
    """The gap in the last looks of the second half."""
    gap = evidence.series(site, "running_gap")
    return median(gap[max(len(gap) // 2, SETTLED // 2) :])


def noise_of_batch(site: Site) -> float:
    """What the mean and the variance of a batch are off by chance, thrice: 3 sqrt(1.5 / n).

    Args:
        site: the output of a BatchNorm; n is the number of elements of a channel.
    """
    n = int(np.prod(site.shape)) // max(site.shape[1], 1) if len(site.shape) > 1 else 1
    return 3.0 * float(np.sqrt(1.5 / max(n, 1)))
