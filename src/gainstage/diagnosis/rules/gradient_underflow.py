"""Numbers are too small for their sixteen bits.

Problem: gradients in float16 are rounded to zero, or updates of sixteen-bit weights are too small
to change them. The layers concerned stop learning though nothing looks wrong.

Why: the smallest float16 is 6e-8, and half of all gradients may lie below it. bfloat16 has the
range of float32 but only eight bits of precision: an update below 1/256 of its weight is lost.

What to do: scale the loss (``torch.amp.GradScaler``) or use bfloat16 for the computation; keep the
weights in float32 and let autocast choose the rest.

Harmless when: the zeros are those of a ReLU's mask or of rows that were not looked up.

Source: Micikevicius et al. 2018, "Mixed precision training", sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Floats, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding, Site

SMALL = 64 * 2.0**-24
"""Root mean square of a float16 gradient below which much of it is rounded to zero."""
ZEROS = 0.3
"""Share of zeros in it."""
LOST = 0.5
"""Share of a sixteen-bit weight's elements that a step leaves as they were."""
PATIENCE = 5
HALVES = frozenset({"float16", "bfloat16"})


@rule("gradient-underflow", may_cause=("vanishing-gradient", "loss-not-decreasing"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for gradients at the bottom of float16, and for updates that change nothing."""
    if evidence.progress.good or len(evidence.steps) < PATIENCE:
        return
    worst = max((f for f in _found(evidence)), key=lambda f: f.confidence, default=None)
    if worst is not None:
        yield worst


def _found(evidence: Evidence) -> Iterable[Finding]:
    recording = evidence.recording
    for site in (*recording.of_kind("output_grad"), *recording.of_kind("grad")):
        if site.dtype == "float16":
            rms, zeros = (evidence.series(site, q) for q in ("rms", "zero_share"))
            if median(rms) < SMALL and median(zeros) > ZEROS:
                yield _finding(evidence, site, zeros, "of its float16 gradient is rounded to zero")
    for site in recording.of_kind("update"):
        if site.dtype in HALVES and len(site.shape) > 1:
            kept = evidence.series(site, "zero_share")
            asked = evidence.series(recording.site(site.name, "grad"), "zero_share")
            lost = kept - np.nan_to_num(asked)
            if median(lost) > LOST:
                told = f"of its {site.dtype} elements are left as they were by a step"
                yield _finding(evidence, site, lost, told)


def _finding(evidence: Evidence, site: Site, share: Floats, told: str) -> Finding:
    lost = median(share)
    return Finding(
        code="gradient-underflow",
        severity="error",
        confidence=confidence(lost, ZEROS, 0.15),
        site=site.name,
        since_step=evidence.step_at(0),
        message=f"At {site.name}, {lost:.0%} {told}.",
        evidence={"lost_share": lost, "dtype": site.dtype, "kind": site.kind},
        threshold={"lost_share": ZEROS if site.kind != "update" else LOST},
    )
