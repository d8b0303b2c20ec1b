"""The loss takes raw scores and is given probabilities.

Problem: the output goes through a softmax (or a sigmoid) twice, once in the model and once inside
the loss. The loss cannot come near zero, and the gradient is weak just where the answer is wrong.

Why: ``cross_entropy`` and ``binary_cross_entropy_with_logits`` squash their input themselves. Of
probabilities the most certain answer of C classes is (1, 0, ..., 0), whose softmax is only
e / (e + C - 1): with ten classes the loss ends at 1.46 at best. ``nll_loss`` takes logarithms of
probabilities, and of probabilities it is no loss at all.

What to do: give the loss the raw scores: leave out the last softmax or sigmoid (use it only to
predict), or take ``log_softmax`` with ``nll_loss``.

Harmless when: never; with two classes the training may look well all the same.

Source: PyTorch documentation of ``CrossEntropyLoss`` ("unnormalized logits for each class").
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding


@rule(
    "softmax-before-cross-entropy",
    may_cause=(
        "vanishing-gradient",
        "learning-rate-too-low",
        "saturated-units",
        "collapsed-output",
        "oscillating-loss",
        "loss-not-decreasing",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Read what the graph behind the loss, or the scores themselves, have shown."""
    facts = evidence.recording.info.facts.get("squashed_twice")
    if not isinstance(facts, dict):
        return
    loss, given = facts.get("loss", "the loss"), facts.get("input", "softmax")
    takes = "logarithms of probabilities" if loss == "nll_loss" else "raw scores"
    source = "probabilities" if given == "probabilities" else f"the output of a {given}"
    last = max(evidence.outputs, key=lambda s: s.order, default=None)
    yield Finding(
        code="softmax-before-cross-entropy",
        # of probabilities nll_loss is no loss, so that it falls says nothing
        severity="warning" if evidence.progress.good and loss != "nll_loss" else "error",
        confidence=0.97,
        site=last.name if last else "",
        since_step=evidence.step_at(0),
        message=f"{loss} takes {takes}, but is given {source}.",
        evidence={"loss": loss, "input": given, "last_loss": evidence.progress.late},
        threshold={"input": takes},
    )
