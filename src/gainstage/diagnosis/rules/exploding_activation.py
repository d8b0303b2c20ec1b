"""The signal swells from stage to stage.

Problem: the activations of late stages are orders of magnitude stronger than what went in; the
output is huge, the loss starts far too high, bounded activations saturate.

Why: weights drawn too large for their fan-in (a standard normal, say) give each stage a gain far
above one, and over the depth the product is exponential.

What to do: draw each weight with variance gain^2 / fan_in (``torch.nn.init.kaiming_normal_`` for
ReLU, ``xavier_normal_`` for tanh), or add normalisation.

Harmless when: a normalisation follows and the training learns well.

Source: Glorot & Bengio 2010; He et al. 2015.
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence, signal_gain
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

THRESHOLD_DB = 40.0


@rule(
    "exploding-activation",
    may_cause=(
        "overconfident-start",
        "learning-rate-too-high",
        "non-finite",
        "saturated-units",
        "dead-units",
        "collapsed-output",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Follow the level of the stages with weights at the start."""
    gain = signal_gain(evidence)
    if evidence.progress.good or gain is None or gain.highest < THRESHOLD_DB:
        return
    yield Finding(
        code="exploding-activation",
        severity="error",
        confidence=confidence(gain.highest, THRESHOLD_DB, 8.0),
        site=gain.highest_site,
        since_step=evidence.step_at(0),
        message=(
            f"Before training the signal swells by {gain.highest:.0f} dB from the first stage "
            f"to {gain.highest_site}, {gain.highest / gain.highest_stages:.1f} dB a layer."
        ),
        evidence={
            "level_relative_to_first_db": gain.highest,
            "gain_db_per_layer": gain.highest / gain.highest_stages,
        },
        threshold={"level_relative_to_first_db": THRESHOLD_DB},
    )
