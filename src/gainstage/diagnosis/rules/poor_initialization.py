"""Weights start far from every scheme that suits their layer.

Problem: a layer's weights are several times larger or smaller than any known initialisation
would draw them, and the signal or the gradient shows it: each stage multiplies its level.

Why: a fixed standard deviation (``torch.randn(...)``, ``normal_(w, 0, 0.01)``) knows nothing of
the fan-in; the variance of a stage's output is fan-in times the variance of its weights.

What to do: draw each weight with variance gain^2 / fan_in:
``torch.nn.init.kaiming_normal_(w, nonlinearity="relu")``, ``xavier_normal_(w, gain=5/3)`` for tanh,
``orthogonal_`` for recurrent matrices; with raw tensors ``torch.randn(m, n) / m**0.5``.

Harmless when: a normalisation follows (it takes the scale out again), the weights are pretrained,
or the training learns well.

Source: Glorot & Bengio 2010; He et al. 2015; the test on variances is TheDeepChecker's (Ben
Braiek & Khomh 2023), with an effect size beside the significance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Weight
from gainstage.diagnosis.operations import NORMS, PARAMETRIC
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding, Kind, Site
from gainstage.theory.plausible import plausible_stds
from gainstage.theory.schemes import TRANSFORMER

FACTOR = 2.0
"""Standard deviation over that of the nearest scheme, or the reverse."""
Z = 4.0
"""Standard errors of a log standard deviation, ``1/sqrt(2n)``, beyond the factor."""
SINKING_DB, SWELLING_DB = -12.0, 6.0
"""Level change per stage. What torch's default costs a ReLU stage is 8 dB down."""


@dataclass(frozen=True, slots=True)
class Odd:
    """A weight far from every scheme.

    Attributes:
        site: the weight.
        rms: at the start.
        nearest: that of the nearest scheme.
    """

    site: Site
    rms: float
    nearest: float

    @property
    def factor(self) -> float:
        """How many times too large, or too small: at least 1."""
        return max(self.rms / self.nearest, self.nearest / self.rms)

    @property
    def large(self) -> bool:
        """Too large, not too small."""
        return self.rms > self.nearest


@rule(
    "poor-initialization",
    may_cause=(
        "saturated-units",
        "dead-units",
        "vanishing-activation",
        "exploding-activation",
        "vanishing-gradient",
        "exploding-gradient",
        "overconfident-start",
        "loss-not-decreasing",
        "oscillating-loss",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Test each weight's variance before the first step, and look for what it does to levels."""
    if evidence.progress.good:
        return
    odd = [one for weight in evidence.weights if (one := _test(evidence, weight)) is not None]
    forward, backward = (_per_stage(evidence, kind) for kind in ("output", "output_grad"))
    hurt = [one for one in odd if _shows(one, forward) or _shows(one, backward)]
    if not hurt:
        return
    worst = max(hurt, key=lambda one: one.factor)
    way = "larger" if worst.large else "smaller"
    yield Finding(
        code="poor-initialization",
        severity="error",
        confidence=confidence(float(np.log(worst.factor)), float(np.log(FACTOR)), 0.5),
        site=worst.site.name,
        since_step=evidence.step_at(0),
        message=(
            f"{worst.site.name} starts {worst.factor:.1f} times {way} than the nearest scheme for "
            f"its shape (rms {worst.rms:.3g} against {worst.nearest:.3g})"
            + (f"; so do {len(hurt) - 1} other weights." if hurt[1:] else ".")
        ),
        evidence={
            "rms": worst.rms,
            "rms_of_nearest_scheme": worst.nearest,
            "factor": worst.factor,
            "weights_hit": len(hurt),
            "forward_db_per_stage": max(forward.values(), key=abs, default=None),
            "backward_db_per_stage": max(backward.values(), key=abs, default=None),
        },
        threshold={"factor": FACTOR, "db_per_stage": [SINKING_DB, SWELLING_DB]},
    )


def _test(evidence: Evidence, weight: Weight) -> Odd | None:
    """The weight, if its second moment fails the test against every scheme."""
    site, rms = weight.site, float(weight.rms[0]) if len(weight.rms) else 0.0
    spread = evidence.series(site, "std")[:1]
    constant = bool(spread.size and spread[0] < 1e-3 * rms)  # symmetry is another fault
    following = evidence.following(site)
    if not rms > 0 or constant or following in NORMS or len(site.shape) < 2:
        return None
    last = max((s.order for s in evidence.outputs if s.op in PARAMETRIC), default=-1)
    guard = [TRANSFORMER] if _guarded(evidence) else []
    schemes = np.array([*plausible_stds(site.op, site.shape, following), *guard])
    nearest = float(schemes[np.argmin(np.abs(np.log(schemes / rms)))])
    found = Odd(site, rms, nearest)
    margin = np.log(FACTOR) + Z / np.sqrt(2 * np.prod(site.shape))
    if np.log(found.factor) < margin or (not found.large and site.order == last):
        return None  # a last layer may start as small as it likes
    return found


def _guarded(evidence: Evidence) -> bool:
    """Whether the network is of those that are drawn alike everywhere and rely on normalisation."""
    return any(s.op in NORMS or s.op == "Embedding" for s in evidence.outputs)


def _per_stage(evidence: Evidence, kind: Kind) -> dict[str, float]:
    """Change of level from one stage with weights to the next in that direction, by layer."""
    sites = evidence.chain(kind)
    entry = evidence.recording.of_kind("input")[:1]
    sites = [*entry, *sites] if kind == "output" else sites[::-1]
    levels = [float(np.append(evidence.level(site)[:1], np.nan)[0]) for site in sites]
    # the gradient of a stage's output has passed the weights of the stage after it
    owners = sites[1:] if kind == "output" else sites[:-1]
    steps = zip(owners, np.diff(levels), strict=True)
    return {site.layer: float(step) for site, step in steps if np.isfinite(step)}


def _shows(odd: Odd, changes: dict[str, float]) -> bool:
    """Whether the level changes at the weight's stage in the way that its size suggests."""
    change = changes.get(odd.site.layer, 0.0)
    return change > SWELLING_DB if odd.large else change < SINKING_DB
