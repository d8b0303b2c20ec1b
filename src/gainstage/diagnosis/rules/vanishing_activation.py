"""The signal sinks from stage to stage.

Problem: the activations of late stages are orders of magnitude weaker than what went in, so the
output hardly depends on the input and only its bias is learnt.

Why: each stage multiplies the signal by its gain, and weights drawn too small for their fan-in
(a fixed 0.01, say) make that gain far less than one; over the depth the product is exponential.

What to do: draw each weight with variance gain^2 / fan_in (``torch.nn.init.kaiming_normal_`` for
ReLU, ``xavier_normal_`` for tanh), or add normalisation or residual connections.

Harmless when: a later stage brings the level back (normalisation) and the training learns well.

Source: Glorot & Bengio 2010; He et al. 2015.
"""

from __future__ import annotations

from collections.abc import Iterable

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

THRESHOLD_DB = -45.0
SURE = 0.95
"""Small weights fade signal and gradient alike; where both are found, the gradient comes first,
for it is what keeps the layers from learning."""


@rule(
    "vanishing-activation",
    may_cause=(
        "learning-rate-too-low",
        "loss-not-decreasing",
        "collapsed-output",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Follow the level of the stages with weights at the start."""
    gain = evidence.signal_gain
    if evidence.progress.good or gain is None or gain.lowest > THRESHOLD_DB:
        return
    yield Finding(
        code="vanishing-activation",
        severity="error",
        confidence=SURE * confidence(gain.lowest, THRESHOLD_DB, -8.0),
        site=gain.lowest_site,
        since_step=evidence.step_at(0),
        message=(
            f"Before training the signal sinks by {-gain.lowest:.0f} dB from the first stage "
            f"to {gain.lowest_site}, {gain.lowest / gain.lowest_stages:.1f} dB a layer."
        ),
        evidence={
            "level_relative_to_first_db": gain.lowest,
            "gain_db_per_layer": gain.lowest / gain.lowest_stages,
        },
        threshold={"level_relative_to_first_db": THRESHOLD_DB},
    )
