"""The first loss is far above that of knowing nothing.

Problem: before the first step the network is sure of wrong answers. The first steps only squash
the output layer (the loss looks like a hockey stick), and what saturates meanwhile may stay so.

Why: the output layer's weights, or the signal that reaches it, are too large: logits of size 10
cost about 10 nats each when they are wrong. Knowing nothing costs ln C for C classes.

What to do: make the output layer small (``model.head.weight.data *= 0.1``, bias zero), scale the
layers before it to their fan-in, normalise the inputs.

Harmless when: the training starts from a network trained on something else and learns well.

Source: Karpathy, "A recipe for training neural networks" (verify loss at init).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.operations import PARAMETRIC
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

RATIO = 3.0
"""First loss over the loss of the best constant prediction."""
CLASSIFICATION = frozenset(
    {"cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"}
)


@rule("overconfident-start", may_cause=("learning-rate-too-high", "oscillating-loss"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Compare the loss before the first step with chance, for classification."""
    progress = evidence.progress
    if progress.good or evidence.recording.info.facts.get("loss") not in CLASSIFICATION:
        return
    if not (np.isfinite(progress.chance) and progress.chance > 0 and progress.initial > 0):
        return
    # of rare labels their share is much to know, and a start that is sure of nothing knows it not
    classes = int(evidence.recording.info.facts.get("classes", 2))
    nothing = max(progress.chance, float(np.log(max(classes, 2))))
    ratio = progress.initial / nothing
    if ratio < RATIO:
        return
    weighted = [s for s in evidence.outputs if s.op in PARAMETRIC]  # what LogSoftmax is given
    last = max(weighted or evidence.outputs, key=lambda s: s.order, default=None)
    yield Finding(
        code="overconfident-start",
        severity="error",
        confidence=confidence(float(np.log2(ratio)), float(np.log2(RATIO)), 0.7),
        site=last.name if last else "",
        since_step=evidence.step_at(0),
        message=(
            f"The loss before the first step is {progress.initial:.3g}, {ratio:.1f} times that of "
            f"knowing nothing ({nothing:.3g})."
        ),
        evidence={
            "first_loss": progress.initial,
            "chance_loss": progress.chance,
            "output_rms": evidence.early(evidence.series(last, "rms")),
        },
        threshold={"first_loss_over_chance": RATIO},
    )
