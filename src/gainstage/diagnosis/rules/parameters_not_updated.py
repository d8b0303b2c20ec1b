"""Parameters receive a gradient but never change.

Problem: a sound gradient arrives at some parameters at every step, and no step ever changes them.

Why: the optimiser was made from other parameters (a layer added afterwards, a list instead of a
``ModuleList``, a generator that was used up), ``step()`` is never called, the gradients are
cleared between the backward pass and the step, the rate is zero, or the update is computed and not
written back.

What to do: pass all parameters to the optimiser
(``torch.optim.Adam(model.parameters())``, after the model is complete), call
``optimizer.step()`` after the backward pass and ``optimizer.zero_grad()`` before it; if the layer
is frozen on purpose, say so with ``requires_grad_(False)``, which also saves its gradient.

Harmless when: the layer is frozen on purpose and the training learns well.

Source: PyTorch documentation, "Optimizing model parameters".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Weight, median
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding

PULL = 1e-6
"""Elasticity above which a gradient would move a weight, if anybody applied it."""
PATIENCE = 5
_REPLACED = (
    " The optimiser was made before this layer and holds the one that it has replaced: make the "
    "optimiser afterwards."
)


@rule("parameters-not-updated", may_cause=("learning-rate-too-low", "loss-not-decreasing"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for weights with a gradient whose update is exactly zero at every step."""
    if len(evidence.steps) < PATIENCE:
        return
    facts = evidence.recording.info.facts.get("replaced")
    replaced = facts if isinstance(facts, list) else []
    stuck = [w for w in evidence.weights if _stuck(w, since_replaced=w.site.name in replaced)]
    stuck_replaced = [w for w in stuck if w.site.name in replaced]
    if evidence.progress.good:  # frozen on purpose, unless the optimiser has its predecessor
        stuck = stuck_replaced
    elif not stuck:
        yield from _cleared(evidence)
    if not stuck:
        return
    all_of_them = len(stuck) == len(evidence.weights)
    names = [w.site.name for w in stuck]
    some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
    yield Finding(
        code="parameters-not-updated",
        severity="warning" if evidence.progress.good else "error",
        confidence=0.95 if len(evidence.steps) >= 4 * PATIENCE else 0.7,
        site=names[0],
        since_step=evidence.step_at(_moved_last(stuck[0])),
        message=(
            "No weight ever changes, although all receive a gradient."
            if all_of_them
            else f"{some} never change, although they receive a gradient at every step."
        )
        + (_REPLACED if stuck_replaced else _unlisted(evidence, names)),
        evidence={
            "weights_stuck": len(stuck),
            "weights_trained": len(evidence.weights) - len(stuck),
            "gradient_norm": median(stuck[0].grad),
            "elasticity": median(stuck[0].elasticity),
        },
        threshold={"update": 0.0, "elasticity": PULL},
    )


def _unlisted(evidence: Evidence, names: Sequence[str]) -> str:
    """Why the optimiser may never have been given them."""
    plain = evidence.recording.info.facts.get("plain_containers")
    held = [p for p in plain if isinstance(p, str)] if isinstance(plain, list) else []
    found = [p for p in held if any(f".{p}." in f".{name}" for name in names)]
    if not found:
        return ""
    return (
        f" `{found[0]}` is a plain list or dictionary: what it holds is not among the parameters "
        "of its module. Use `nn.ModuleList` or `nn.ModuleDict`."
    )


def _cleared(evidence: Evidence) -> Iterable[Finding]:
    """Nothing of what each backward pass made was left when the optimiser stepped."""
    updates = evidence.recording.of_kind("update")
    kept = evidence.run("kept_grad")
    kept = kept[np.isfinite(kept)]
    gone = len(kept) >= PATIENCE and not kept.any()
    if not updates or not (gone or not evidence.recording.of_kind("grad")):
        return
    moved = [evidence.series(site, "rms") for site in updates]
    steps = max(int(np.isfinite(series).sum()) for series in moved)
    if steps < PATIENCE or any(np.nan_to_num(series).any() for series in moved):
        return
    yield Finding(
        code="parameters-not-updated",
        severity="error",
        confidence=0.95 if steps >= 4 * PATIENCE else 0.7,
        site=updates[0].name,
        since_step=evidence.step_at(0),
        message=(
            "No weight ever changes: when the optimiser steps, what the backward pass made is "
            "gone. The gradients are cleared between the two."
        ),
        evidence={"steps": steps, "gradient_left": 0.0},
        threshold={"update": 0.0},
    )


def _moved_last(weight: Weight) -> int:
    """Position after the last step that changed it."""
    moved = np.flatnonzero(np.nan_to_num(weight.ratio))
    return int(moved[-1]) + 1 if len(moved) else 0


def _stuck(weight: Weight, *, since_replaced: bool) -> bool:
    begin = _moved_last(weight) if since_replaced else 0
    update = weight.ratio[begin:][np.isfinite(weight.ratio[begin:])]
    with_grad = weight.grad[begin:] > 0
    return (
        len(update) >= PATIENCE
        and not update.any()
        and bool(with_grad.mean() > 0.5)
        and median(weight.elasticity[begin:]) > PULL
    )
