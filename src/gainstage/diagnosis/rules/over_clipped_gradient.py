"""Clipping leaves next to nothing of the gradient.

Problem: the gradient is cut to a small part of itself at nearly every step, and what is left moves
the weights too little to train them.

Why: the limit was set for gradients of another size. Clipping is meant for rare spikes; a limit
below the usual norm is a hidden factor on the learning rate. Adam divides by the size of the
gradient and does not mind a constant factor; plain gradient descent does.

What to do: measure the usual norm of the gradient (it is in this report) and clip at several times
that, or do not clip.

Harmless when: the optimiser adapts to the gradient's size, so updates are large enough anyway.

Source: Pascanu, Mikolov & Bengio 2013, section 3.2 (threshold from the average norm).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

KEPT = 0.1
"""Share of the gradient's norm that is left, at nine of ten steps."""
RATE = 3e-4
"""Update over weight below which a training barely moves."""
CREEPING, AGREEMENT, STILL = 1e-3, 0.2, 0.05
"""Update over weight that is less than usual, where successive gradients agree and the last quarter
of the training still made that share of the whole descent: longer steps would have been safe."""
PATIENCE = 10


@rule(
    "over-clipped-gradient",
    may_cause=(
        "learning-rate-too-low",
        "vanishing-gradient",
        "collapsed-output",
        "loss-not-decreasing",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for a clipping that works at nearly every step and starves the updates."""
    kept = evidence.run("kept_grad")
    kept = kept[np.isfinite(kept) & (kept > 0)]
    if evidence.progress.good or len(kept) < PATIENCE or np.percentile(kept, 90) > KEPT:
        return
    rate = median(evidence.rate)
    agreement = median(np.array([median(w.cosine) for w in evidence.weights]))
    creeping = agreement > AGREEMENT and evidence.progress.falling > STILL
    if not (rate < RATE or (creeping and rate < CREEPING)):
        return
    left = median(kept)
    norm = median(evidence.run("grad_norm"))
    yield Finding(
        code="over-clipped-gradient",
        severity="error",
        confidence=confidence(float(np.log10(left)), float(np.log10(KEPT)), -0.5),
        site="",
        since_step=evidence.step_at(0),
        message=(
            f"Clipping leaves {left:.2g} of the gradient's norm at nearly every step, and a step "
            f"changes the weights by {rate:.1e} of their size."
        ),
        evidence={
            "kept_share": left,
            "norm_before_clipping": norm / left,
            "norm_after_clipping": norm,
            "update_over_weight": rate,
        },
        threshold={"kept_share": KEPT, "update_over_weight": RATE},
    )
