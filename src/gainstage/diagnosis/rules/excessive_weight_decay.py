"""Weight decay pulls harder than the gradient.

Problem: the weights shrink towards zero faster than the gradient can build them up, and with them
the signal; or, before a normalisation, until each step turns them around.

Why: decay moves each weight by a fixed share of itself at every step. Where that is more than what
the gradient asks for, the weights lose; the loss settles where the two balance, far from its best.
Before a normalisation the gradient grows as the weights shrink and keeps them from vanishing, but
they become so short that a step turns them by sqrt(rate times decay) of their length: too far to
settle anywhere.

What to do: lower ``weight_decay`` (1e-4 to 1e-2 are usual; 0.1 with AdamW and small rates), and
leave biases and normalisation out of it.

Harmless when: weights shrink while the training learns well: before a normalisation layer their
size does not matter.

Source: Loshchilov & Hutter 2019 (decoupled decay); Krogh & Hertz 1991; van Laarhoven 2017 and Wan
et al. 2021 (balance of decay and gradient before a normalisation).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Floats, Weight, median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

PULL = 0.7
"""Decay over gradient, in the second half of the training, for the median weight. In balance it is
one, or less by what noise adds to the gradient's length."""
SHRUNK = 0.5
"""Size of the median weight at the end, over its start."""
TURN = 0.04
"""What a step turns weights by, of their length, where decay and gradient balance."""
PATIENCE = 10
DECOUPLED = frozenset({"AdamW", "Lion", "Muon"})
"""Optimisers whose decay is a share of the weight and not part of the gradient."""
DESCENT = frozenset({"SGD"})
"""Those whose decay is a share of the weight although it is part of the gradient."""


@dataclass(frozen=True)
class _Decay:
    """The decay of a training and what it does to the weights.

    Attributes:
        evidence: of the training.
        weights: those that had a size at the start.
    """

    evidence: Evidence
    weights: list[Weight]

    @cached_property
    def inferred(self) -> dict[str, float]:
        """What the first update by hand shows; empty where optimisers tell their rates."""
        return self.evidence.recording.info.facts.get("inferred") or {}

    @cached_property
    def size(self) -> float:
        """The decay."""
        return median(self.evidence.run("weight_decay"))

    @cached_property
    def rates(self) -> Floats:
        """Rate at each step: [T]."""
        told = self.evidence.run("lr")
        return np.full_like(told, self.inferred["lr"]) if self.inferred else told

    @cached_property
    def shrunk(self) -> float:
        """Size of the median weight at the end, over its start."""
        return median(np.array([self.evidence.late(w.rms) / w.rms[0] for w in self.weights]))

    @cached_property
    def pull(self) -> float:
        """What decay does to the median weight over what the gradient does, in the second half."""
        return median(np.array([self._pull(w) for w in self.weights]))

    @cached_property
    def turn(self) -> float:
        """What a step turns weights by before a normalisation, of their length.

        There the gradient is at right angles to the weight. In balance with the decay a step
        turns it by sqrt(2 lr decay / (1 + momentum)), which is at least what is returned (Wan et
        al. 2021, theorem 1); 0 where steps do not turn the weights as far as half of that.
        """
        if not self._made_of({*DECOUPLED, *DESCENT}):
            return 0.0
        balance = float(np.sqrt(median(self.rates) * self.size))
        ratios = np.array([self.evidence.late(w.ratio) for w in self.weights])
        return balance if median(ratios) > balance / 2 else 0.0

    def _made_of(self, kinds: set[str] | frozenset[str]) -> bool:
        """Whether these optimisers alone make the steps, or the script itself."""
        names = self.evidence.recording.info.facts.get("optimizers", [])
        return all(name in kinds for name in names) and bool(names or self.inferred)

    def _pull(self, weight: Weight) -> float:
        half = len(weight.rms) // 2
        decoupled = self.inferred.get("decoupled", self._made_of(DECOUPLED))
        if decoupled:  # the update holds both: of it, decay is lr times decay of the weight
            with np.errstate(divide="ignore", invalid="ignore"):
                share: Floats = self.rates[half:] * self.size / weight.ratio[half:]
            mine = median(share)
            return mine / max(1.0 - mine, 1e-3)
        length = self.evidence.series(weight.site, "l2")[half:]
        with np.errstate(divide="ignore", invalid="ignore"):
            return median(self.size * length / weight.grad[half:])


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
    weights = [w for w in evidence.weights if np.isfinite(w.rms[:1]).all() and w.rms[0] > 0]
    decay = _Decay(evidence, weights)
    if evidence.progress.good or len(evidence.steps) < PATIENCE or not weights:
        return
    if not (decay.size > 0 and decay.shrunk < SHRUNK):
        return
    pulled, turned = decay.pull > PULL, decay.turn > TURN
    if not (pulled or turned):
        return
    sure = confidence(float(-np.log2(max(decay.shrunk, 1e-9))), 1.0, 0.7)
    if not pulled:
        sure = min(sure, confidence(float(np.log2(decay.turn / TURN)), 0.0, 0.4))
    yield Finding(
        code="excessive-weight-decay",
        severity="error",
        confidence=sure,
        site=min(weights, key=lambda w: evidence.late(w.rms) / w.rms[0]).site.name,
        since_step=evidence.step_at(0),
        message=_told(decay, pulled=pulled),
        evidence={
            "weight_decay": decay.size,
            **({"inferred_from": "the first update"} if decay.inferred else {}),
            "decay_over_gradient": decay.pull,
            **({"turn_per_step": decay.turn} if turned else {}),
            "weights_over_start": decay.shrunk,
            "learning_rate": median(decay.rates),
        },
        threshold={
            "decay_over_gradient": PULL,
            **({"turn_per_step": TURN} if turned else {}),
            "weights_over_start": SHRUNK,
        },
    )


def _told(decay: _Decay, *, pulled: bool) -> str:
    known = " (inferred from the first update)" if decay.inferred else ""
    if pulled:
        return (
            f"Weight decay of {decay.size:.3g}{known} pulls {decay.pull:.2g} times as hard as the "
            f"gradient; the weights have shrunk to {decay.shrunk:.2g} of their size."
        )
    rate = median(decay.rates)
    return (
        f"Weight decay of {decay.size:.3g} at a rate of {rate:.3g}{known} has shrunk the weights "
        f"to {decay.shrunk:.2g} of their size, until each step turned them by {decay.turn:.2g} "
        f"of their length."
    )
