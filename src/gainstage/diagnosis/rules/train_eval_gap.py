"""BatchNorm will compute something else in evaluation than it did in training.

Problem: the running statistics that are used in evaluation are far from those of the batches that
the network was trained on, so its outputs, and its score, will change with ``model.eval()``.

Why: the running averages lag behind (momentum too small for the length of the training, weights
that still move fast), or the batches differ from their mean (too small, or sorted by class).

What to do: train longer or raise ``momentum``; shuffle; larger batches; before evaluating, pass
some batches through in training mode without steps; or use GroupNorm or LayerNorm.

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
SETTLED = 50
"""Steps after which the usual momentum of 0.1 has forgotten the start."""


@rule("train-eval-gap")
def check(evidence: Evidence) -> Iterable[Finding]:
    """Compare running with batch statistics late in the training."""
    if len(evidence.recording.steps) < SETTLED:
        return
    gaps = [(_late(evidence, s), s) for s in evidence.outputs if "BatchNorm" in s.op]
    gaps = [(gap - _noise(s), s) for gap, s in gaps if np.isfinite(gap)]
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
        evidence={"running_gap": worst, "noise_of_the_batch": _noise(site)},
        threshold={"running_gap": GAP},
    )


def _late(evidence: Evidence, site: Site) -> float:
    """The gap in the last looks of the second half."""
    gap = evidence.series(site, "running_gap")
    return median(gap[max(len(gap) // 2, SETTLED // 2) :])


def _noise(site: Site) -> float:
    """What the mean and the variance of a batch are off by chance, thrice: 3 sqrt(1.5 / n)."""
    n = int(np.prod(site.shape)) // max(site.shape[1], 1) if len(site.shape) > 1 else 1
    return 3.0 * float(np.sqrt(1.5 / max(n, 1)))
