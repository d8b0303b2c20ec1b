"""Steps are so small that nothing moves.

Problem: the loss creeps down in a straight line, or seems flat, although every layer receives a
sound gradient: the weights hardly move.

Why: the update is a tiny fraction of the weights at every layer (below about 1 in 10,000 a step,
where 1 in 1,000 is usual), and successive gradients agree, so longer steps would be safe.

What to do: multiply the learning rate by 10 until the loss falls quickly, then step back a
little; check that a scheduler or a warm-up does not hold the rate down.

Harmless when: a pretrained network is fine-tuned, or the training has already converged.

Source: Karpathy's 1e-3 guide line for update over data; Smith 2017, rate range test.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Floats, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

RATIO = "log10_update_over_weight"
LOG_RATIO = -4.0
"""Median of log10 update over weight."""
AGREEMENT = 0.2
"""Cosine of successive gradients from which longer steps are safe; around a minimum it is 0."""
FORGIVEN = -3.3
"""A weight that moves this much at some time rules the fault out."""
NOTHING = 1e-12
"""Stands for an update that was lost to rounding."""
PROMISE = 0.5
"""Share of the loss that all steps together promise to remove; more, and they were long enough."""
LOST = -7.5
"""Less than that of itself a float32 cannot change by."""
USED_UP = 0.01
"""Share of its highest value to which a schedule has brought the rate in most steps. Under a rate
that stayed, weights that stand still have no gradient any more, which is another fault."""
FADED, ERRORS, STILL = 0.1, 2.0, 0.05
"""A rate that has faded, and by how much the loss must fall from the third quarter of the steps
before to the fourth: so many standard errors, and such a share of itself."""
LITTLE = 0.1
"""A first loss below it may be that of a network that has learnt, where chance is not known."""
UNMOVED = 0.5
"""What is left of the gradients where steps were too small to get anywhere."""
BARREN = 0.03
"""Less than this, and a training that failed cannot have learnt, whatever its ratios."""


@rule("learning-rate-too-low", may_cause=("loss-not-decreasing",))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Ask whether all weights move far too little while the loss still has far to go."""
    progress = evidence.progress
    if progress.good or progress.steps < 20 or not evidence.weights:
        return
    if not any(np.nan_to_num(w.ratio).any() for w in evidence.weights):
        return  # no update ever comes: another fault
    ratios = _ratios(evidence)
    fastest = max((float(np.percentile(r, 90)) for r in ratios), default=-np.inf)
    typical = median(np.array([median(r) for r in ratios]))
    promised = float(np.nansum(evidence.predicted_share)) * evidence.spacing
    agreement = median(np.array([median(w.cosine) for w in evidence.weights]))
    barren = progress.failed and 0 < promised < BARREN
    barren &= bool(ratios) or (agreement > AGREEMENT and _unmoved(evidence))
    creeping = typical <= LOG_RATIO and not agreement < AGREEMENT
    rate = evidence.run("lr")
    used_up = bool(median(rate) <= USED_UP * np.nanmax(rate, initial=0.0))
    # most of the steps changed nothing at all, or nearly, and there was more to gain
    starved = used_up and (typical <= LOST or (typical <= LOG_RATIO and _cut_short(evidence)))
    moving = fastest > FORGIVEN or promised > PROMISE
    if not starved and (moving or not (creeping or barren)):
        return
    sure = max(confidence(typical, LOG_RATIO, -0.4) if ratios else 0.8, 0.6 if barren else 0.0)
    # a training that is gone on with may have learnt before: how far it has to go is not known
    converged = bool(np.isnan(progress.chance) and progress.initial < LITTLE)
    slowest = min(evidence.weights, key=lambda w: np.nan_to_num(median(w.ratio), nan=np.inf))
    yield Finding(
        code="learning-rate-too-low",
        severity="warning" if converged else "error",
        confidence=0.5 if converged else sure,
        site=slowest.site.name,
        since_step=evidence.step_at(0),
        message=_message(typical, promised, starved=starved) + (_fall(rate) if used_up else ""),
        evidence={
            **({RATIO: typical, f"{RATIO}_fastest": fastest} if ratios else {}),
            "promised_share_of_loss": promised,
            "gradient_cosine": agreement,
            "loss_start": progress.initial,
            "loss_end": progress.late,
            "learning_rate": median(rate),
            **({"used_up_by_schedule": True} if used_up else {}),
        },
        threshold={
            RATIO: LOG_RATIO,
            "promised_share_of_loss": PROMISE,
            "gradient_cosine": AGREEMENT,
        },
    )


def _ratios(evidence: Evidence) -> list[Floats]:
    """Logarithms of update over weight; an update lost to rounding is the smallest of all.

    What began at zero is as small as its steps, and left out: nothing follows from their ratio.
    """
    told = [w.ratio[np.isfinite(w.ratio)] for w in evidence.weights if (w.rms[:1] != 0).all()]
    return [np.log10(np.maximum(ratio, NOTHING)) for ratio in told if ratio.any()]


def _cut_short(evidence: Evidence) -> bool:
    """Whether the loss still fell, beyond its noise, when a schedule took the rate away."""
    rate = evidence.run("lr")
    alive = int(np.flatnonzero(rate >= FADED * np.nanmax(rate))[-1] * evidence.spacing) + 1
    loss = evidence.recording.run_values("loss")[alive // 2 : alive].astype(np.float64)
    early, late = np.array_split(loss[np.isfinite(loss)], 2)
    if min(len(early), len(late)) < 2:
        return False
    error = float(
        np.hypot(early.std(ddof=1) / len(early) ** 0.5, late.std(ddof=1) / len(late) ** 0.5)
    )
    return float(early.mean() - late.mean()) > max(ERRORS * error, STILL * abs(float(late.mean())))


def _unmoved(evidence: Evidence) -> bool:
    """Whether gradients are what they were: near a minimum they have vanished."""
    late = [evidence.late(w.grad) for w in evidence.weights]
    first = [evidence.first(w.grad) for w in evidence.weights]
    return median(np.array(late)) > UNMOVED * median(np.array(first))


def _message(typical: float, promised: float, *, starved: bool) -> str:
    if starved:
        return f"A step changes the weights by 1 part in {10**-typical:,.0f} (median)."
    if not np.isfinite(typical):
        return (
            f"All steps together promise to remove only {promised:.1%} of the loss, and the "
            "gradients agree on where to go."
        )
    return (
        f"A step changes the weights by 1 part in {10**-typical:,.0f} (median), and all steps "
        f"together promise to remove only {promised:.1%} of the loss."
    )


def _fall(rate: Floats) -> str:
    """From where to where a schedule has brought the rate."""
    return (
        f" A schedule has used the rate up: from {np.nanmax(rate):.3g} it fell to "
        f"{median(rate):.3g} in half of the steps."
    )
