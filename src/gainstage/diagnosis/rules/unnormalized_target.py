"""The targets of a regression lie far from the scale on which the network answers.

Problem: the targets are many times larger than what the network puts out, in their mean or in
their spread, and in the steps that were seen it has not even come to answer with their mean.

Why: prices, counts or physical units go straight into the loss. A network that begins near unit
scale must first carry its last layer there, step by step; the gradients of a squared error grow
with the distance, so that a rate that is safe at the start is small later, and a bounded last
activation (sigmoid, tanh) never arrives at all.

What to do: standardise the targets, ``y = (y - mean) / std`` with the training set's numbers, and
undo it on the predictions; or begin with the last layer's bias at the mean of the targets. Leave
out a sigmoid or tanh after the last layer unless all targets lie in its range.

Harmless when: the training is only beginning and goes on long enough.

Source: LeCun et al. 1998, "Efficient BackProp", section 4.5; Bishop 1995, "Neural Networks for
Pattern Recognition", section 8.2.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

LEVEL_DB = 20.0
"""By how much targets exceed the answers of a network that has not begun."""
STEPS = 100


@rule("unnormalized-target", fallback=True)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Compare the level of the targets with the first answers', where a constant does better."""
    progress = evidence.progress
    level = evidence.recording.info.facts.get("target_level")
    if not isinstance(level, dict) or progress.steps < STEPS or progress.diverged:
        return
    if not (np.isfinite(progress.chance) and progress.late > progress.chance):
        return
    mean, std, output = (float(level.get(k, np.nan)) for k in ("mean", "std", "output_rms"))
    above = 20 * float(np.log10(max(np.hypot(mean, std), 1e-30) / max(output, 1.0)))
    if not above > LEVEL_DB:
        return
    yield Finding(
        code="unnormalized-target",
        severity="error",
        confidence=0.8,
        site="loss",
        since_step=evidence.step_at(0),
        message=(
            f"The targets have a mean of {mean:.3g} and a spread of {std:.3g}, the first answers "
            f"an rms of {output:.3g}. After {progress.steps} steps the loss "
            f"({progress.late:.3g}) is still above that of answering with the mean "
            f"({progress.chance:.3g})."
        ),
        evidence={
            "target_mean": mean,
            "target_std": std,
            "first_output_rms": output,
            "target_above_output_db": above,
            "loss_end": progress.late,
            "chance_loss": progress.chance,
        },
        threshold={"target_above_output_db": LEVEL_DB, "loss_end": progress.chance},
    )
