"""Steps are larger than the loss surface allows.

Problem: each step overshoots; the loss jumps up, oscillates or blows up instead of falling.

Why: on a bowl of curvature c, gradient descent diverges as soon as the rate exceeds 2/c. The
first-order prediction then promises to gain more than the whole loss at every step, and the next
gradient points back.

What to do: divide the learning rate by 3 to 10 until the loss falls; warm it up over the first
steps; clip the gradient's norm.

Harmless when: single spikes recover at once, or a high rate at the edge of stability still
brings the loss down. A training that recovers from a bad throw and learns well gets a warning.

Source: LeCun et al. 1998, section 5.3; Cohen et al. 2021, "edge of stability".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from gainstage.diagnosis.evidence import Evidence, first_lasting, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

PREDICTED = 0.5
"""Predicted decrease per step over the loss itself, in the worst five steps of the window."""
RATIO = 0.2
"""Update over weight, median over weights, in the worst five steps of the window."""
JUMP = 2.0
"""Rise of the loss over its start (or chance), after the first step."""
TURNING = -0.5
"""Cosine of successive gradients, median over weights and steps of the window."""
WINDOW = 50
SILENCED_DB = -40.0
"""Fall of the gradients, median over the weights, from the first step to those after the window, of
a training that has learnt nothing: the steps have thrown it to where no slope is left."""


@rule(
    "learning-rate-too-high",
    may_cause=(
        "dead-units",
        "saturated-units",
        "non-finite",
        "exploding-gradient",
        "vanishing-gradient",
        "loss-not-decreasing",
        "collapsed-output",
        "oscillating-loss",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Weigh the loss's answer to the steps, the prediction, and the size of the updates."""
    progress = evidence.progress
    if progress.steps < 5:
        return
    loss = evidence.loss
    finite = loss[np.isfinite(loss)]
    scale = max(abs(progress.initial), 0.0 if np.isnan(progress.chance) else progress.chance)
    jump = float(finite[1:].max() / scale) if scale and len(finite) > 1 else 1.0
    predicted = worst(evidence.predicted_share[:WINDOW])
    ratio = worst(evidence.rate[:WINDOW])
    turning = median(np.array([median(w.cosine[:WINDOW]) for w in evidence.weights]))
    fall = _fall(evidence) if progress.failed else 0.0
    votes = _votes(jump, predicted, ratio, turning, fall)
    strength = float(sum(np.clip(vote, -1.0, 2.0) for vote in votes.values()))
    if sum(vote > 0 for vote in votes.values()) < 2 or strength <= 0:
        return
    if progress.good and not _thrown(evidence, scale, (votes["predicted"], votes["ratio"])):
        return
    start = _since(evidence, scale, votes)
    yield Finding(
        code="learning-rate-too-high",
        severity="warning" if progress.good else "error",
        confidence=confidence(strength, 0.0, 1.5),
        site=max(evidence.weights, key=lambda w: np.nan_to_num(median(w.ratio[:WINDOW]))).site.name
        if evidence.weights
        else "",
        since_step=evidence.step_at(min(start, len(evidence.steps) - 1)),
        message=_message(jump, predicted, ratio, fall),
        evidence={
            "loss_peak_over_start": jump,
            "predicted_decrease_over_loss": predicted,
            "update_over_weight": ratio,
            "gradient_cosine": turning,
            "gradient_fall_db": fall,
            "learning_rate": median(evidence.run("lr")),
        },
        threshold={
            "loss_peak_over_start": JUMP,
            "predicted_decrease_over_loss": PREDICTED,
            "update_over_weight": RATIO,
            "gradient_cosine": TURNING,
            "gradient_fall_db": SILENCED_DB,
        },
    )


def _votes(
    jump: float, predicted: float, ratio: float, turning: float, fall: float
) -> dict[str, float]:
    """How far each sign is beyond its threshold, in its own units; negative if it is below."""
    votes = {
        "jump": float(np.log2(max(jump, 1e-9) / JUMP)),
        "predicted": float(np.log2(max(np.nan_to_num(predicted), 1e-9) / PREDICTED)),
        "ratio": float(np.log2(max(np.nan_to_num(ratio), 1e-9) / RATIO)),
        "turning": 4 * (TURNING - float(np.nan_to_num(turning))),
    }
    if fall < SILENCED_DB:  # gradients of a network that has fallen silent do not turn
        votes["silenced"] = (SILENCED_DB - fall) / 20
        votes["turning"] = max(votes["turning"], 0.0)
    return votes


def _fall(evidence: Evidence) -> float:
    """By how much the gradients have fallen since the first step, in dB: median over weights."""
    falls = []
    for weight in evidence.weights:
        first, after = evidence.first(weight.grad), weight.grad[WINDOW : 2 * WINDOW]
        late = median(after) if np.isfinite(after).any() else evidence.late(weight.grad)
        if first > 0 and np.isfinite(late):
            falls.append(20 * float(np.log10(max(late / first, 1e-9))))
    return min(median(np.array(falls)), 0.0) if falls else 0.0


def _since(evidence: Evidence, scale: float, votes: Mapping[str, float]) -> int:
    """Index of the step from which on a sign speaks: the loss rises, or steps are too long.

    The loss answers late where a spike falls back at once, and units may be dead by then.
    """
    loss = evidence.loss
    signs = [np.where(np.isfinite(loss), loss, np.inf) > 1.2 * scale]
    if votes["predicted"] > 0:
        signs.append(evidence.predicted_share > PREDICTED)
    if votes["ratio"] > 0:
        signs.append(evidence.rate > RATIO)
    starts = [first_lasting(sign, 2) for sign in signs]
    return max(min((start for start in starts if start is not None), default=1), 1)


def _thrown(evidence: Evidence, scale: float, votes: tuple[float, ...]) -> bool:
    """Whether the first steps threw the network far away, for more than a spike.

    What learns well all the same is only told of when three independent signs agree: the loss
    stayed above its start for steps on end, and both the promise and the size of steps are off.
    """
    loss = evidence.recording.run_values("loss")[1:].astype(np.float64)  # at every step
    return scale > 0 and worst(loss) / scale > JUMP and min(votes) > 0


def worst(values: NDArray[np.float64], steps: int = 5) -> float:
    """Largest median over `steps` consecutive values: what lasted, not a single spike."""
    finite = values[np.isfinite(values)]
    if len(finite) < steps:
        return median(finite)
    windows = np.lib.stride_tricks.sliding_window_view(finite, steps)
    return float(np.median(windows, axis=1).max())


def _message(jump: float, predicted: float, ratio: float, fall: float) -> str:
    parts = [f"Early on a step changes the weights by {ratio:.1%} of their size"]
    if predicted > PREDICTED:
        parts.append(f"promises to gain {_times(predicted)} the whole loss")
    if jump > JUMP:
        parts.append(f"and the loss rose to {_times(jump)} its start")
    if fall < SILENCED_DB:
        parts.append(f"and soon the gradients are {-fall:.0f} dB weaker")
    return ", ".join(parts) + "."


def _times(factor: float) -> str:
    return f"{factor:.1f} times" if factor < 1e4 else f"{factor:.0e} times"
