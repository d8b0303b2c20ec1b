"""What the network computes does not depend on its input.

Problem: from some stage on the signal is the same for every sample, so the network can only learn
one constant answer.

Why: what differs between samples has been lost on the way: dead or saturated units, weights that
shrank to nothing beside the biases, inputs whose common offset is far larger than what varies.

What to do: look at the first stage where it happens, and at what comes before it; centre the
inputs.

Harmless when: the last layer alone answers the same for all. Then there may be nothing to learn
from these inputs and labels, and its answer is the best there is.

Source: Ioffe & Szegedy 2015 (why the spread over a batch matters); Glorot & Bengio 2010.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding, Site

SPREAD = 0.01
"""Standard deviation over the samples, over the rms, at a hidden stage."""
LOOKS = 3


@rule("collapsed-output", may_cause=("loss-not-decreasing", "learning-rate-too-low"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Find the first hidden stage from which on all samples look the same."""
    if not evidence.progress.failed:
        return
    found = [(s, _spread(evidence, s)) for s in evidence.hidden]
    known = [(s, spread) for s, spread in found if np.isfinite(spread)]
    lost = next((i for i in range(len(known)) if all(v < SPREAD for _, v in known[i:])), None)
    if lost is None:
        return
    site, spread = known[lost]
    before = known[lost - 1][1] if lost else np.nan
    yield Finding(
        code="collapsed-output",
        severity="error",
        confidence=confidence(float(np.log10(max(spread, 1e-12))), float(np.log10(SPREAD)), -0.5),
        site=site.name,
        since_step=evidence.step_at(0),
        message=(
            f"From {site.name} on the samples differ by {spread:.2g} of the signal: what the "
            "network answers hardly depends on its input."
        ),
        evidence={"spread_over_samples": spread, "spread_before": before},
        threshold={"spread_over_samples": SPREAD},
    )


def _spread(evidence: Evidence, site: Site) -> float:
    """How much of a stage depends on the sample, in the later looks; 0 where it is all zero."""
    spread = evidence.series(site, "sample_spread")
    silent = evidence.series(site, "rms") == 0
    looks = np.where(silent & ~np.isfinite(spread), 0.0, spread)
    looks = looks[np.isfinite(looks)]
    return median(looks[len(looks) // 2 :]) if len(looks) >= LOOKS else float("nan")
