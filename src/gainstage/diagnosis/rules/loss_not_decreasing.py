"""The loss never leaves chance, though every scale is healthy.

Problem: the network learns nothing that a constant would not know, and no layer, gradient or
step is out of scale.

Why: then the fault is most likely not in the scales: labels that do not belong to their inputs
(shuffled apart, off by one), inputs without information, a loss computed on the wrong tensors,
targets detached from what is predicted. Some hard tasks also rest at chance for a long time.

What to do: look at some inputs and their labels as the network sees them; train on ten samples
until the loss is zero; if that works, look at the data, if not, at the loss.

Harmless when: the task is known to start with a long plateau.

Source: Karpathy, "A recipe for training neural networks" (overfit a single batch).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

STEPS = 100
ABOVE, RESTING = 1.2, 0.1
"""Late loss over chance, and share of the whole descent that the last quarter still made, of a loss
that rests where a constant would do better."""
NEAR = 0.05
"""Distance from chance, as a share of it, that counts as being there."""


@rule("loss-not-decreasing", fallback=True)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Ask whether the loss starts at chance, ends there and did not move, or rests above it."""
    progress = evidence.progress
    chance = progress.chance
    if progress.steps < STEPS or not (np.isfinite(chance) and chance > 0):
        return
    room = NEAR * chance
    there = abs(progress.late - chance) < room and chance - progress.best < room + _noise(evidence)
    started = progress.initial < 2 * chance
    above = progress.late > ABOVE * chance and progress.falling < RESTING
    optimizers = len(evidence.recording.info.facts.get("optimizers", ["one"]))
    if not (above or (there and started)) or optimizers > 1:
        return
    rests = "rests above" if above else "is still"
    yield Finding(
        code="loss-not-decreasing",
        severity="warning",
        confidence=0.6,
        site="loss",
        since_step=evidence.step_at(0),
        message=(
            f"After {progress.steps} steps the loss {rests} that of a constant prediction "
            f"({progress.late:.3g}; chance {chance:.3g}), while the scales are fine: look at the "
            "data and the labels."
        ),
        evidence={
            "loss_start": progress.initial,
            "loss_end": progress.late,
            "chance_loss": chance,
        },
        threshold={"distance_from_chance": NEAR},
    )


def _noise(evidence: Evidence) -> float:
    """How far the lowest of the running medians lies below the level of a loss that rests.

    A median of w values has a standard error of 1.25 sd / sqrt(w), and the lowest of some twenty
    is nearly two and a half of these away. Differences tell the sd whatever the trend.
    """
    loss = evidence.recording.run_values("loss").astype(np.float64)
    loss = loss[np.isfinite(loss)]
    width = max(len(loss) // 20, 1)
    spread = float(np.median(np.abs(np.diff(loss[-len(loss) // 5 :])))) / 0.954  # of a normal's
    return float(2.5 * 1.25 * spread / np.sqrt(width))
