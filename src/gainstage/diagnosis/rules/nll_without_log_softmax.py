"""The loss takes logarithms of probabilities and is given scores that are none.

Problem: ``nll_loss`` is given numbers whose exponentials do not sum to one over the classes. It
can then be made smaller without end by making the scores larger: the loss goes below zero, and
what it says has little to do with how many answers are right.

Why: ``nll_loss`` only picks the number of the right class and changes its sign; the normalisation
is left to ``log_softmax``, which is missing, or was taken over the wrong axis (over the samples).

What to do: hand the scores to ``cross_entropy``, which does both, or take
``log_softmax(scores, dim=1)`` over the classes before ``nll_loss``.

Harmless when: never; that the loss falls says nothing.

Source: PyTorch documentation of ``NLLLoss`` ("The input given through a forward call is expected to
contain log-probabilities of each class").
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding


@rule(
    "nll-without-log-softmax",
    may_cause=(
        "collapsed-output",
        "exploding-activation",
        "exploding-gradient",
        "learning-rate-too-high",
        "loss-not-decreasing",
        "non-finite",
        "oscillating-loss",
        "overconfident-start",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Read what the scores' exponentials sum to over the classes."""
    facts = evidence.recording.info.facts.get("not_logarithms")
    if not isinstance(facts, dict):
        return
    total = float(facts.get("sum_of_probabilities", float("nan")))
    last = max(evidence.outputs, key=lambda s: s.order, default=None)
    yield Finding(
        code="nll-without-log-softmax",
        # normalised over the samples it may learn all the same; below zero it is no likelihood
        severity="warning" if evidence.progress.good and evidence.progress.late >= 0 else "error",
        confidence=0.97,
        site=last.name if last else "",
        since_step=evidence.step_at(0),
        message=(
            "nll_loss takes logarithms of probabilities, but the exponentials of what it is given "
            f"sum to {total:.3g} over the classes, not to 1."
        ),
        evidence={"sum_of_probabilities": total, "last_loss": evidence.progress.late},
        threshold={"sum_of_probabilities": 1.0},
    )
