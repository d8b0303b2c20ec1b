"""Units put out zero for every sample.

Problem: most rectified units of a layer are zero whatever the input, so no gradient passes
through them and they never recover; a whole dead layer cuts the network in two.

Why: a large step or a large negative bias pushed them below zero for all data; inputs or weights
with a strong mean do the same from the start.

What to do: lower the learning rate if they died during training; check biases and the mean of
the inputs if they were dead from the start; use LeakyReLU, GELU or normalisation before the
activation.

Harmless when: a minority of a wide layer is dead and the training learns well.

Source: Maas, Hannun & Ng 2013; Lu et al. 2020, "Dying ReLU and initialization".
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, first_lasting
from gainstage.diagnosis.operations import RECTIFIERS
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding, Site

THRESHOLD = 0.5
NEARLY = 0.9
"""Of what it came to: from then on it was so. (Where a layer's samples are alike, each unit is on
for all or off for all, and half of them count as dead from the start.)"""
STEPS = 8
"""Fewer say little: for one small batch many healthy units are zero."""


@rule(
    "dead-units",
    may_cause=(
        "vanishing-gradient",
        "vanishing-activation",
        "learning-rate-too-low",
        "collapsed-output",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for a rectified layer most of whose units are silent over a whole window."""
    layers = [s for s in evidence.outputs if s.op in RECTIFIERS and s.unit_axis is not None]
    shares = [(evidence.late(evidence.series(s, "dead_units")), s) for s in layers]
    shares = [(share, s) for share, s in shares if np.isfinite(share)]
    if not shares or evidence.progress.good or len(evidence.steps) < STEPS:
        return
    share, site = max(shares, key=lambda pair: pair[0])
    if share < THRESHOLD:
        return
    yield _finding(evidence, site, share, [s.name for v, s in shares if v >= THRESHOLD])


def _halvings(share: float) -> float:
    """How often the living part of a layer was halved: what counts is how much is left."""
    return float(-np.log2(max(1.0 - share, 1e-6)))


def _finding(evidence: Evidence, site: Site, share: float, names: list[str]) -> Finding:
    series = evidence.series(site, "dead_units")
    start = first_lasting(series >= max(THRESHOLD, NEARLY * share)) or 0
    born = "from the start" if start < 5 else f"since step {evidence.step_at(start)}"
    return Finding(
        code="dead-units",
        severity="error",
        confidence=confidence(_halvings(share), _halvings(THRESHOLD), 1.0),
        site=site.name,
        since_step=evidence.step_at(start),
        message=(
            f"{share:.0%} of the units of {site.name} are zero for every sample, {born}"
            + (f" (also: {', '.join(n for n in names if n != site.name)})." if names[1:] else ".")
        ),
        evidence={
            "dead_share": share,
            "dead_share_at_start": evidence.early(series),
            "layers_hit": len(names),
            "window_steps": min(32, len(evidence.steps)),
        },
        threshold={"dead_share": THRESHOLD},
    )
