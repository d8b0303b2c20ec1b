"""All units of a layer are the same unit.

Problem: the units of a layer start alike and get the same gradient, so they stay alike for ever: a
layer of a hundred units computes what a layer of one would.

Why: the weights were set to a constant (or all to zero). Nothing in gradient descent breaks such a
symmetry.

What to do: draw the weights at random (``torch.nn.init.kaiming_normal_`` or ``xavier_uniform_``);
biases may be zero.

Harmless when: a last layer, or the last one of a residual branch, starts at zero: its first step
makes its units differ.

Source: Goodfellow, Bengio & Courville 2016, section 8.4.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Weight, median
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

ALIKE = 1e-3
"""Difference of the units, and of their gradients, relative to their size."""
LOOKS = 3
FIRST = 12
"""Looks that count: much later, rounding may have told units apart that nothing else did."""


@rule(
    "symmetric-weights",
    may_cause=(
        "vanishing-activation",
        "vanishing-gradient",
        "exploding-activation",
        "exploding-gradient",
        "learning-rate-too-low",
        "dead-units",
        "saturated-units",
        "overconfident-start",
        "collapsed-output",
        "poor-initialization",
        "oscillating-loss",
        "loss-not-decreasing",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for layers whose units and whose gradients are alike, step after step."""
    weights = [w for w in evidence.weights if len(w.site.shape) > 1 and min(w.site.shape[:2]) > 1]
    alike = [w for w in weights if _alike(evidence, w)]
    if not alike or evidence.progress.good:
        return
    names = [w.site.name for w in alike]
    some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
    yield Finding(
        code="symmetric-weights",
        severity="error",
        confidence=0.96 if len(alike) > 1 or len(weights) == 1 else 0.8,
        site=names[0],
        since_step=evidence.step_at(0),
        message=f"All units of {some} are alike, and so are their gradients: they cannot differ.",
        evidence={
            "layers_alike": len(alike),
            "layers": len(weights),
            "weight_std_over_rms": median(_spread(evidence, alike[0], "weight")),
        },
        threshold={"difference_of_units": ALIKE},
    )


def _alike(evidence: Evidence, weight: Weight) -> bool:
    """Whether units are alike, and their gradients, at the first looks after the first step."""
    units, pull = (_spread(evidence, weight, kind) for kind in ("weight", "grad"))
    looked = np.flatnonzero(np.isfinite(units) | (weight.rms == 0))[1 : FIRST + 1]
    if len(looked) < LOOKS:
        return False
    same = np.where(np.isfinite(units), units, 0.0)[looked]
    pulled_apart = np.nan_to_num(pull)[looked]  # a gradient of zeros pulls nothing apart
    return bool((same < ALIKE).all() and (pulled_apart < ALIKE).mean() > 0.9)


def _spread(evidence: Evidence, weight: Weight, kind: str) -> np.ndarray:
    site = weight.site if kind == "weight" else evidence.recording.site(weight.site.name, "grad")
    return evidence.series(site, "unit_spread")
