"""Gradients pile up from step to step.

Problem: no gradient is cleared between a step and the next backward pass, so each step uses the
sum of all gradients since the beginning. It follows where the network was and not where it is.

Why: ``backward`` adds to ``.grad``. A sum over k steps is like a momentum of 1 that never forgets:
the loss falls at first, then swings with growing amplitude.

What to do: call ``optimizer.zero_grad()`` once for each step, before ``backward`` or after
``step``.

Harmless when: it is deliberate; gradients of several micro-batches that are summed before one step
are not meant here.

Source: PyTorch documentation, "Zeroing out gradients in PyTorch".
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

SHARE = 0.5
"""Share of the steps whose gradient still holds that of the step before."""
PATIENCE = 5


@rule(
    "gradients-not-zeroed",
    may_cause=(
        "learning-rate-too-high",
        "exploding-gradient",
        "exploding-activation",
        "dead-units",
        "saturated-units",
        "vanishing-gradient",
        "over-clipped-gradient",
        "collapsed-output",
        "non-finite",
        "oscillating-loss",
        "loss-not-decreasing",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Count the steps at which nobody had cleared the gradients of the one before."""
    stale = evidence.run("stale_grad")
    known = stale[np.isfinite(stale)][1:]
    if len(known) < PATIENCE or known.mean() < SHARE:
        return
    yield Finding(
        code="gradients-not-zeroed",
        severity="warning" if evidence.progress.good else "error",
        confidence=0.97 if known.mean() > 0.9 else 0.8,
        site="",
        since_step=evidence.step_at(0),
        message=(
            f"At {known.mean():.0%} of the steps the gradients of the step before were still "
            "there, and the new ones were added to them."
        ),
        evidence={"stale_steps": float(known.mean()), "steps": len(known)},
        threshold={"stale_steps": SHARE},
    )
