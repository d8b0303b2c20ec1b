"""The signal swells from stage to stage, or from time step to time step.

Problem: the activations of late stages are orders of magnitude stronger than what went in; the
output is huge, the loss starts far too high, bounded activations saturate.

Why: each stage has a gain above one, and over the depth the product is exponential: weights drawn
too large for their fan-in (a standard normal, say), branches that add to an unnormalised residual
stream, sums over many neighbours, a recurrent matrix with a spectral radius above one.

What to do: draw each weight with variance gain^2 / fan_in (``torch.nn.init.kaiming_normal_`` for
ReLU, ``xavier_normal_`` for tanh, ``orthogonal_`` for recurrent matrices), scale branches down or
start them at zero, average instead of adding up, or add normalisation.

Harmless when: a normalisation follows and the training learns well.

Source: Glorot & Bengio 2010; He et al. 2015; Hanin & Nica 2020 (what depth does by chance);
Zhang, Dauphin & Ma 2019, "Fixup" (residual branches).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.growth import SWOLLEN_DB
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

HIGH_START = 10.0
"""First loss over chance by which a swollen signal reached the answer."""
CLEAR_DB = 40.0
"""Growth that is told of even where the training has learnt, if the first loss shows it too."""
CLEAR_START = 100.0
"""First loss over chance with which any growth is told of even there."""
IN_TIME = 0.85
"""A recurrent state that swells is mostly known by its gradient, which stands first."""


@rule(
    "exploding-activation",
    may_cause=(
        "overconfident-start",
        "learning-rate-too-high",
        "non-finite",
        "saturated-units",
        "dead-units",
        "vanishing-gradient",
        "collapsed-output",
        "oscillating-loss",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Follow the level of the stages with weights at the start, and of a stage from call to call.

    Two signs make it surer: the growth, and a first loss far above chance.
    """
    progress = evidence.progress
    grown, site, message, details = _growth(evidence)
    ratio = progress.initial / progress.chance if progress.chance > 0 else np.nan
    shows = bool(ratio > HIGH_START)
    clear = ratio > CLEAR_START or (shows and grown > CLEAR_DB)
    if grown < SWOLLEN_DB or (progress.good and not clear):
        return
    strength = max((grown - SWOLLEN_DB) / 12.0, 1.0 if shows else 0.0)
    yield Finding(
        code="exploding-activation",
        severity="warning" if progress.good else "error",
        confidence=min(
            confidence(strength, 0.0, 1.0), IN_TIME if "gain_db_per_call" in details else 1.0
        ),
        site=site,
        since_step=evidence.step_at(0),
        message=message,
        evidence={**details, "first_loss_over_chance": ratio if np.isfinite(ratio) else None},
        threshold={"growth_db": SWOLLEN_DB, "first_loss_over_chance": HIGH_START},
    )


def _growth(evidence: Evidence) -> tuple[float, str, str, dict[str, float]]:
    """The larger growth, along the depth or in time: in dB, where, in words and in numbers."""
    along, in_time = evidence.signal_gain, evidence.in_time("output")
    depth = along.highest if along else 0.0
    if in_time is not None and in_time.db > depth:
        each = in_time.db / in_time.calls
        text = (
            f"Before training the signal swells by {in_time.db:.0f} dB over {in_time.calls} calls "
            f"of {in_time.name} (time steps), beyond what adding up explains: {each:.1f} dB a call."
        )
        return in_time.db, in_time.name, text, {"growth_db": in_time.db, "gain_db_per_call": each}
    if along is None:
        return 0.0, "", "", {}
    each = depth / along.highest_stages
    text = (
        f"Before training the signal swells by {depth:.0f} dB from the first stage "
        f"to {along.highest_site}, {each:.1f} dB a layer."
    )
    return depth, along.highest_site, text, {"growth_db": depth, "gain_db_per_layer": each}
