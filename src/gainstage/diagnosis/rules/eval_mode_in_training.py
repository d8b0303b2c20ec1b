"""The model trains in evaluation mode.

Problem: steps are made while the whole model is in evaluation mode: BatchNorm normalises by its
running statistics and does not update them, Dropout drops nothing.

Why: ``model.eval()`` was called, most often for a validation, and ``model.train()`` was not called
after it. Running statistics that are never updated are those of another network, so what is called
normalised is not, and the gradient does not know of the batch.

What to do: call ``model.train()`` before the training part of each epoch.

Harmless when: statistics are frozen on purpose, for fine-tuning on small batches. Then put the
normalisation layers into evaluation mode, not the model.

Source: Ioffe & Szegedy 2015, section 3.1; PyTorch documentation of ``Module.eval``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, first_lasting
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

SHARE = 0.99
"""Share of the stages with two modes that ran in evaluation mode."""
PATIENCE = 5


@rule(
    "eval-mode-in-training",
    may_cause=(
        "exploding-activation",
        "vanishing-activation",
        "exploding-gradient",
        "vanishing-gradient",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "dead-units",
        "saturated-units",
        "overconfident-start",
        "collapsed-output",
        "non-finite",
        "poor-initialization",
        "oscillating-loss",
        "loss-not-decreasing",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for a lasting stretch of steps in evaluation mode, up to the end."""
    asleep = np.nan_to_num(evidence.run("eval_mode")) > SHARE
    start = first_lasting(asleep, PATIENCE)
    if start is None or not asleep[-PATIENCE:].all():
        return
    norms = [s for s in evidence.outputs if s.op.startswith(("BatchNorm", "SyncBatchNorm"))]
    harmful = bool(norms) and not evidence.progress.good
    steps = int(asleep.sum())
    yield Finding(
        code="eval-mode-in-training",
        severity="error" if harmful else "warning",
        confidence=0.95,
        site=norms[0].name if norms else "",
        since_step=evidence.step_at(start),
        message=(
            f"The whole model was in evaluation mode in {steps} of {len(asleep)} training steps, "
            f"from step {evidence.step_at(start)} to the end."
        ),
        evidence={"steps_in_evaluation_mode": steps, "batch_norms": len(norms)},
        threshold={"eval_mode": SHARE},
    )
