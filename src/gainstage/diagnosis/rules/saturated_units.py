"""Bounded activations sit at their limits.

Problem: most outputs of a tanh or sigmoid layer are at the ends of its range, where its slope is
almost zero: the gradient is blocked, the layer answers yes or no and cannot be tuned.

Why: the signal before the activation is several times too large: weights too large for their
fan-in, inputs that are not normalised, or steps so large that they threw the weights out.

What to do: scale the layer's weights to the fan-in (gain 5/3 for tanh:
``torch.nn.init.xavier_normal_(w, gain=5/3)``), normalise the inputs, lower the learning rate if
it happened during training, or put a normalisation before the activation.

Harmless when: it is the last layer's sigmoid on an easy problem, or a gate that has learnt to be
open or shut.

Source: Glorot & Bengio 2010; LeCun et al. 1998, "Efficient BackProp".
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, first_lasting
from gainstage.diagnosis.operations import BOUNDED
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

THRESHOLD = 0.5
"""Half of the outputs beyond |tanh| = 0.97 needs a signal three times too large."""


@rule(
    "saturated-units",
    may_cause=(
        "vanishing-gradient",
        "learning-rate-too-low",
        "collapsed-output",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for a hidden bounded layer that is mostly at its limits, at the start or for good."""
    layers = [s for s in evidence.hidden if s.op in BOUNDED]
    if not layers:
        return
    early = [(evidence.first(evidence.series(s, "saturated")), s) for s in layers]
    late = [(evidence.late(evidence.series(s, "saturated")), s) for s in layers]
    from_start, first = max(early, key=lambda pair: np.nan_to_num(pair[0]))
    in_end, last = max(late, key=lambda pair: np.nan_to_num(pair[0]))
    born_so = bool(from_start >= THRESHOLD)
    if not born_so and (evidence.progress.good or not in_end >= THRESHOLD):
        return
    site = first if born_so else last
    share = from_start if born_so else in_end
    series = evidence.series(site, "saturated")
    start = 0 if born_so else first_lasting(series >= THRESHOLD) or 0
    when = "from the start" if born_so else f"since step {evidence.step_at(start)}"
    yield Finding(
        code="saturated-units",
        severity="warning" if evidence.progress.good else "error",
        confidence=confidence(share, THRESHOLD, 0.12),
        site=site.name,
        since_step=evidence.step_at(start),
        message=f"{share:.0%} of the outputs of {site.name} ({site.op}) are saturated, {when}.",
        evidence={
            "saturated_share": share,
            "saturated_at_start": evidence.first(series),
            "saturated_at_end": evidence.late(series),
            "saturated_units_at_end": evidence.late(evidence.series(site, "saturated_units")),
            "layers_hit": sum(v >= THRESHOLD for v, _ in (early if born_so else late)),
        },
        threshold={"saturated_share": THRESHOLD},
    )
