"""The ranks of a training hold different models.

Problem: gradients that every rank should hold a copy of differ from rank to rank, so each rank
steps its own way, and what is saved in the end is the model of one of them.

Why: data parallelism averages the gradients of all ranks before the step. A part of the model that
is not wrapped, a ``no_sync`` that covers the last micro-batch too, a gradient that is changed after
the averaging on one rank alone, or ranks that started from different weights leave them apart.

What to do: wrap the whole model in ``DistributedDataParallel`` and call the wrapper, not
``model.module``; make the last micro-batch of an accumulation outside ``no_sync``; clip and scale
after ``backward`` on every rank alike; start all ranks from one seed or one checkpoint.

Harmless when: ranks train different models on purpose (an ensemble, local SGD between averages).

Source: Li et al. 2020, "PyTorch Distributed", section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

DIFFERENCE = 1e-6
"""Relative, as the reader of the ranks' files holds it: rounding is less."""


@rule("ranks-disagree", may_cause=("loss-not-decreasing", "oscillating-loss"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for what the reader of the ranks' files has noted."""
    found = [e for e in evidence.recording.events if e.code == "ranks-disagree"]
    if not found:
        return
    event = found[0]
    apart = event.data.get("steps")
    steps = apart if isinstance(apart, int) else 1
    share = min(steps / max(len(evidence.steps), 1), 1.0)
    yield Finding(
        code="ranks-disagree",
        severity="warning" if evidence.progress.good else "error",
        confidence=0.95 if share > 0.5 else 0.8,
        site=event.site,
        since_step=event.step,
        message=(
            f"Gradients of {event.site or 'the model'} that all ranks should share differ between "
            f"them in {steps} of {len(evidence.steps)} steps."
        ),
        evidence={"steps_apart": steps, "share_of_steps": share},
        threshold={"relative_difference": DIFFERENCE},
    )
