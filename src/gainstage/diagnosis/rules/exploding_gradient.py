"""The gradient grows out of proportion on its way back.

Problem: a tiny relative change of some weights changes the loss many times over; any ordinary
step throws the network far away.

Why: weights too large for their fan-in, so that each stage multiplies signal and gradient; a
recurrent matrix with a spectral radius above one, applied at every time step; or no
normalisation in a very deep chain.

What to do: initialise for the fan-in (``torch.nn.init.kaiming_normal_``, ``xavier_normal_``,
``orthogonal_`` for recurrent matrices), clip the gradient's norm
(``torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)``), add normalisation.

Harmless when: single spikes are clipped and the loss keeps falling.

Source: Pascanu, Mikolov & Bengio 2013; He et al. 2015.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Weight, first_lasting, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

THRESHOLD = 100.0
"""Elasticity: relative change of the loss per relative change of the weight. Healthy networks
have about 1, however wide or deep."""


SPIKES = 0.02
"""Share of steps beyond the threshold that makes an unsteady gradient (recurrent nets)."""


@rule(
    "exploding-gradient",
    may_cause=(
        "overconfident-start",
        "learning-rate-too-high",
        "non-finite",
        "dead-units",
        "saturated-units",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for a weight on which the loss depends with an elasticity far above one."""
    moving = [w for w in evidence.weights if np.nan_to_num(w.ratio).any()]
    if evidence.progress.good or not moving:
        return
    worst = max(moving, key=_high)
    typical, high = _typical(worst), _high(worst)
    if not high >= THRESHOLD:
        return
    steady = typical >= THRESHOLD
    level = 20 * float(np.log10(typical if steady else high))
    beyond = worst.elasticity > THRESHOLD
    start = first_lasting(worst.elasticity > THRESHOLD / 3) if steady else int(np.argmax(beyond))
    how = (
        f"a 1 % change of it moves the loss by {typical:.0f} %"
        if steady
        else f"on {beyond.mean():.0%} of the steps, up to {np.nanmax(worst.elasticity):.0f} times"
    )
    yield Finding(
        code="exploding-gradient",
        severity="error",
        confidence=confidence(level, 20 * np.log10(THRESHOLD), 8.0),
        site=worst.site.name,
        since_step=evidence.step_at(start or 0),
        message=(
            f"The loss is {typical if steady else high:.0f} times more sensitive to "
            f"{worst.site.name} than a well-scaled network's: {how}."
        ),
        evidence={
            "elasticity": typical,
            "elasticity_98th_percentile": high,
            "elasticity_at_start": evidence.early(worst.elasticity),
            "gradient_norm": median(worst.grad[:20]),
            "weight_rms": evidence.early(worst.rms),
        },
        threshold={"elasticity": THRESHOLD, "share_of_steps": SPIKES},
    )


def _typical(weight: Weight) -> float:
    """Median elasticity over the steps at which the loss is a number."""
    return float(np.nan_to_num(median(weight.elasticity), nan=-1.0))


def _high(weight: Weight) -> float:
    """The elasticity that the worst steps exceed."""
    finite = weight.elasticity[np.isfinite(weight.elasticity)]
    return float(np.quantile(finite, 1 - SPIKES)) if len(finite) else -1.0
