"""Weight decay pulls harder than the gradient.

Problem: the weights shrink towards zero faster than the gradient can build them up, and with them
the signal.

Why: decay moves each weight by a fixed share of itself at every step. Where that is more than what
the gradient asks for, the weights lose; the loss settles where the two balance, far from its best.

What to do: lower ``weight_decay`` (1e-4 to 1e-2 are usual; 0.1 with AdamW and small rates), and
leave biases and normalisation out of it.

Harmless when: weights shrink while the training learns well: before a normalisation layer their
size does not matter.

Source: Loshchilov & Hutter 2019 (decoupled decay); Krogh & Hertz 1991.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Floats, Weight, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

PULL = 1.0
"""Decay over gradient, in the second half of the training, for the median weight."""
SHRUNK = 0.5
"""Size of the median weight at the end, over its start."""
PATIENCE = 10
DECOUPLED = frozenset({"AdamW", "Lion", "Muon"})
"""Optimisers whose decay is a share of the weight and not part of the gradient."""


@rule(
    "excessive-weight-decay",
    may_cause=(
        "vanishing-activation",
        "vanishing-gradient",
        "learning-rate-too-low",
        "dead-units",
        "collapsed-output",
        "loss-not-decreasing",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Compare the pull of the decay with the gradient's, and the weights with their start."""
    decay = median(evidence.run("weight_decay"))
    weights = [w for w in evidence.weights if np.isfinite(w.rms[:1]).all() and w.rms[0] > 0]
    if evidence.progress.good or not decay > 0 or len(evidence.steps) < PATIENCE or not weights:
        return
    names = evidence.recording.info.facts.get("optimizers", [])
    decoupled = bool(names) and all(name in DECOUPLED for name in names)
    pull = median(np.array([_pull(evidence, w, decay, decoupled=decoupled) for w in weights]))
    shrunk = median(np.array([evidence.late(w.rms) / w.rms[0] for w in weights]))
    if not (pull > PULL and shrunk < SHRUNK):
        return
    yield Finding(
        code="excessive-weight-decay",
        severity="error",
        confidence=confidence(float(-np.log2(max(shrunk, 1e-9))), 1.0, 0.7),
        site=min(weights, key=lambda w: evidence.late(w.rms) / w.rms[0]).site.name,
        since_step=evidence.step_at(0),
        message=(
            f"Weight decay of {decay:g} pulls {pull:.2g} times as hard as the gradient; the "
            f"weights have shrunk to {shrunk:.2g} of their size."
        ),
        evidence={
            "weight_decay": decay,
            "decay_over_gradient": pull,
            "weights_over_start": shrunk,
            "learning_rate": median(evidence.run("lr")),
        },
        threshold={"decay_over_gradient": PULL, "weights_over_start": SHRUNK},
    )


def _pull(evidence: Evidence, weight: Weight, decay: float, *, decoupled: bool) -> float:
    """What decay does to a weight over what the gradient does, in the second half."""
    half = len(weight.rms) // 2
    if decoupled:  # the update holds both: of it, decay is lr times decay of the weight
        with np.errstate(divide="ignore", invalid="ignore"):
            share: Floats = evidence.run("lr")[half:] * decay / weight.ratio[half:]
        mine = median(share)
        return mine / max(1.0 - mine, 1e-3)
    size = evidence.series(weight.site, "l2")[half:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return median(decay * size / weight.grad[half:])
