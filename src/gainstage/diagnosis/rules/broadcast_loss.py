"""The loss compares every prediction with every target.

Problem: predictions and targets have shapes like 32 x 1 and 32. Subtracted, they make a table of
32 x 32, in which each prediction meets the targets of all other samples.

Why: the last layer answers with a column, the data hold a row, and broadcasting makes a table of
the two. The loss is then smallest where every answer is the mean of the targets; nothing fails,
and what the network learns is that mean.

What to do: give both the same shape: ``loss_fn(model(x).squeeze(-1), y)``, or
``loss_fn(model(x), y.unsqueeze(-1))``. PyTorch warns of it in ``mse_loss`` and its kin.

Harmless when: all pairs are meant to be compared; then no target is to be learnt.

Source: PyTorch documentation, "Broadcasting semantics", and the warning of ``mse_loss`` ("Using a
target size that is different to the input size").
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding


@rule(
    "broadcast-loss",
    may_cause=(
        "collapsed-output",
        "dead-units",
        "learning-rate-too-low",
        "loss-not-decreasing",
        "oscillating-loss",
        "vanishing-gradient",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Read which shapes the loss was given."""
    facts = evidence.recording.info.facts.get("broadcast")
    if not isinstance(facts, dict):
        return
    loss, given, wanted = (str(facts.get(key, "")) for key in ("loss", "input", "target"))
    last = max(evidence.outputs, key=lambda s: s.order, default=None)
    yield Finding(
        code="broadcast-loss",
        severity="error",
        confidence=0.97,
        site=last.name if last else "",
        since_step=evidence.step_at(0),
        message=(
            f"{loss[:1].upper()}{loss[1:]} is taken of predictions of shape {given} and targets "
            f"of shape {wanted}, so that every prediction meets every target."
        ),
        evidence={"loss": loss, "input": given, "target": wanted},
        threshold={"target": given},
    )
