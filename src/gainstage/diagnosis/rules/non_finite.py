"""A tensor holds NaN or infinity.

Problem: from some step on, the loss, the gradients or the weights are not numbers any more, and
every later step only spreads them.

Why: a logarithm or root of zero, a division by a norm that became zero, an exponential or a
half-precision number beyond its range, a bad sample in the data; or a training that diverged
until its numbers overflowed.

What to do: look at the first tensor in order of computation that is not finite, which is named
here. Clamp the argument of log, sqrt and division (or use the fused form, such as
``binary_cross_entropy_with_logits``), check the inputs with ``torch.isfinite``, and if the
levels grew before it happened, cure that growth first: it is the cause.

Harmless when: a gradient scaler skips the step, as mixed precision does now and then.

Source: IEEE 754; NVIDIA's mixed-precision training guide on loss scaling.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding, Site

_FORWARD = ("input", "output")


@rule("non-finite")
def check(evidence: Evidence) -> Iterable[Finding]:
    """Find the first tensor, in order of computation, that is not finite."""
    loss = evidence.loss
    bad_loss = np.flatnonzero(~np.isfinite(loss))
    found = [(index, site) for site in _tensors(evidence) if (index := _first(evidence, site)) >= 0]
    raised = evidence.recording.info.status == "failed" and any(
        index == len(loss) - 1 for index, _ in found
    )
    if not (evidence.progress.diverged or raised or _weights_broken(found)):
        return
    start = min([index for index, _ in found] + bad_loss[:1].tolist(), default=-1)
    if start < 0:
        return
    at_start = sorted((s for i, s in found if i == start), key=_in_order)
    forward = [s for s in at_start if s.kind in _FORWARD]
    first = forward[0] if forward else None
    if first is None and start in bad_loss:
        name, what = "loss", "the loss itself, while every stage's output was finite"
    else:
        first = first or at_start[0]
        name, what = first.name, f"the {first.kind.replace('_', ' ')} of {first.name} ({first.op})"
    step = evidence.step_at(start)
    grew = _growth(evidence, start)
    yield Finding(
        code="non-finite",
        severity="error",
        confidence=0.98,
        site=name,
        since_step=step,
        message=f"At step {step} the first values that are not finite appear in {what}.",
        evidence={
            "nan": float(evidence.series(first, "nan")[start]) if first else None,
            "inf": float(evidence.series(first, "inf")[start]) if first else None,
            "loss_before": float(loss[start - 1]) if start else None,
            "loss_growth_before": grew,
            "tensors_hit_at_this_step": len(at_start),
        },
        threshold={"non_finite": 0},
    )


def _tensors(evidence: Evidence) -> list[Site]:
    return [s for s in evidence.recording.sites if s.kind != "run"]


def _first(evidence: Evidence, site: Site) -> int:
    bad = (evidence.series(site, "nan") > 0) | (evidence.series(site, "inf") > 0)
    if site.kind in _FORWARD:  # an infinity that leaves the loss finite (a mask) is meant
        bad &= ~np.isfinite(evidence.loss)
    return int(np.argmax(bad)) if bad.any() else -1


def _weights_broken(found: list[tuple[int, Site]]) -> bool:
    return any(site.kind in {"weight", "update"} for _, site in found)


def _in_order(site: Site) -> tuple[int, int]:
    """Forward through outputs, then backward through gradients, then the step."""
    rank = {"input": 0, "output": 0, "output_grad": 1, "grad": 1, "weight": -1, "update": 2}
    phase = rank[site.kind]
    return phase, -site.order if phase == 1 else site.order


def _growth(evidence: Evidence, start: int) -> float | None:
    """Loss just before, over the loss at the beginning; above 10 the training had diverged."""
    before = evidence.loss[:start]
    finite = before[np.isfinite(before)]
    if len(finite) < 2 or not finite[0]:
        return None
    return float(np.abs(finite[-3:]).max() / abs(finite[0]))
