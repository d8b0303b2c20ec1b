"""The gradient grows out of proportion on its way back.

Problem: a tiny relative change of some weights changes the loss many times over; any ordinary
step throws the network far away.

Why: weights too large for their fan-in, so that each stage multiplies signal and gradient; a
recurrent matrix with a spectral radius above one, applied at every time step; or a very deep chain
without skip connections (a BatchNorm holds the signal there, and the gradient grows all the same).

What to do: initialise for the fan-in (``torch.nn.init.kaiming_normal_``, ``xavier_normal_``,
``orthogonal_`` for recurrent matrices), clip the gradient's norm
(``torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)``), add skip connections or
normalisation.

Harmless when: single spikes are clipped and the loss keeps falling.

Source: Pascanu, Mikolov & Bengio 2013; He et al. 2015; Yang et al. 2019, "A mean field theory of
batch normalization".
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Weight, first_lasting, median
from gainstage.diagnosis.growth import SWOLLEN_DB, along_stages
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

THRESHOLD = 100.0
"""Elasticity: relative change of the loss per relative change of the weight. Healthy networks
have about 1, however wide or deep."""
SPIKES = 0.02
"""Share of steps beyond the threshold that makes an unsteady gradient (recurrent nets)."""
GROWN_DB, TIME_DB = 30.0, 15.0
"""Growth of the gradient from the last stage back to the first, or from the last call of a stage
back to its first beyond what adding up explains, before the first step."""
UNROLLED = 8
"""Uses of a parameter within a step that make a simulation: there is no other weight then."""
BORN = 10.0
"""Elasticity before the first step at which such a growth matters."""
ALONE = 1000.0
"""The same in a training that failed, of which no growth is known: a fused recurrent layer's."""

SURE, SECOND = 0.9, 0.7
"""Of a growth that the network was born with: a poor initialisation stands above it, and so does a
signal that swells on its way forward, if it is the same weights' doing."""


@rule(
    "exploding-gradient",
    may_cause=(
        "overconfident-start",
        "learning-rate-too-high",
        "non-finite",
        "dead-units",
        "saturated-units",
        "vanishing-gradient",
        "oscillating-loss",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for a weight on which the loss depends with an elasticity far above one.

    Training hides a growth that the network was born with: its first steps blow up the weights of
    the first stages, and before a normalisation large weights have small gradients. So the chain
    is looked at before the first step as well, where two signs must agree.
    """
    weights = evidence.weights or (evidence.parameters if _is_unrolled(evidence) else ())
    moving = [w for w in weights if np.nan_to_num(w.ratio).any()]
    if evidence.progress.good or not moving:
        return
    found = [*_elastic(moving, evidence), *_born(moving, evidence)]
    yield from sorted(found, key=lambda f: -f.confidence)[:1]


def _is_unrolled(evidence: Evidence) -> bool:
    """Whether a few constants are used again and again, as the steps of a simulation do."""
    return int(evidence.recording.info.facts.get("parameter_uses", 0)) >= UNROLLED


def _elastic(moving: list[Weight], evidence: Evidence) -> Iterable[Finding]:
    """Typically, or on the worst steps."""
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


def _born(moving: list[Weight], evidence: Evidence) -> Iterable[Finding]:
    """Before the first step: the gradient grows on its way back, and weights feel it."""
    worst = max(moving, key=lambda w: np.nan_to_num(evidence.first(w.elasticity)))
    elasticity = evidence.first(worst.elasticity)
    depth, in_time = _backwards(evidence), evidence.in_time("output_grad")
    time = in_time.db if in_time else 0.0
    grown = max((depth - GROWN_DB) / 10.0, (time - TIME_DB) / 10.0)
    alone = elasticity >= ALONE and evidence.progress.failed
    if not (elasticity >= BORN and (grown >= 0 or alone)):
        return
    strength = max(grown, 0.0) + float(np.log2(elasticity / BORN)) / 2
    forward = evidence.signal_gain
    sure = SECOND if forward is not None and forward.highest > SWOLLEN_DB else SURE
    along = "stages"
    if in_time is not None and (time - TIME_DB) > (depth - GROWN_DB):
        along = f"{in_time.calls} calls of {in_time.name}"
    most = time if along != "stages" else depth
    grows = f"the gradient grows by {most:.0f} dB on its way back through the {along}, and "
    yield Finding(
        code="exploding-gradient",
        severity="error",
        confidence=min(confidence(strength, 0.0, 1.0), sure),
        site=worst.site.name,
        since_step=evidence.step_at(0),
        message=(
            f"Before training {grows if grown >= 0 else ''}the loss is {elasticity:.0f} times "
            f"more sensitive to {worst.site.name} than a well-scaled network's."
        ),
        evidence={
            "elasticity_at_start": elasticity,
            "elasticity": _typical(worst),
            "growth_along_stages_db": depth,
            "growth_in_time_db": time,
        },
        threshold={
            "elasticity_at_start": BORN,
            "growth_along_stages_db": GROWN_DB,
            "growth_in_time_db": TIME_DB,
        },
    )


def _backwards(evidence: Evidence) -> float:
    """Level of the first stage's output gradient over the last one's, in dB; 0 if unknown."""
    chain = [(s.name, evidence.level(s, "l2")) for s in evidence.chain("output_grad")]
    gain = along_stages([(name, evidence.first(level[:1])) for name, level in chain[::-1]])
    return gain.last if gain else 0.0


def _typical(weight: Weight) -> float:
    """Median elasticity over the steps at which the loss is a number."""
    return float(np.nan_to_num(median(weight.elasticity), nan=-1.0))


def _high(weight: Weight) -> float:
    """The elasticity that the worst steps exceed."""
    finite = weight.elasticity[np.isfinite(weight.elasticity)]
    return float(np.quantile(finite, 1 - SPIKES)) if len(finite) else -1.0
