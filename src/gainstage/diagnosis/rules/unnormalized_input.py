"""The data enter the network far from unit scale.

Problem: the inputs are many times larger or smaller than one, far from zero mean, or differ from
feature to feature by orders of magnitude. One learning rate cannot suit all weights then.

Why: raw pixels (0..255), prices, timestamps or mixed physical units go straight into the first
layer. Its gradient is proportional to its input, so large features dominate and small ones are
never learnt; tanh and sigmoid saturate, ReLU units die.

What to do: standardise each feature with the training set's mean and standard deviation,
``x = (x - mean) / std``, or put a ``BatchNorm1d`` first.

Harmless when: a normalisation layer comes first, or the training learns well all the same.

Source: LeCun et al. 1998, "Efficient BackProp", section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, median
from gainstage.diagnosis.growth import CALLS
from gainstage.diagnosis.operations import NORMS
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding, Site

LEVEL_DB = 20.0
LOW_DB = -26.0
OFFSET = 5.0
SPREAD = 100.0


@rule(
    "unnormalized-input",
    may_cause=(
        "saturated-units",
        "dead-units",
        "exploding-gradient",
        "vanishing-gradient",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "non-finite",
        "overconfident-start",
        "parameters-not-updated",
        "collapsed-output",
        "oscillating-loss",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Compare the level, offset and spread of what enters with what one rate can serve."""
    if evidence.progress.good:
        return
    for sites in _entries(evidence):
        if sites[0].op in NORMS or sites[0].op == "Embedding":
            continue
        finding = _judge(evidence, sites)
        if finding is not None:
            yield finding
            return


def _entries(evidence: Evidence) -> list[list[Site]]:
    """What enters, in order; the parts of a sequence that enters step by step are one."""
    calls = evidence.calls("input").values()
    sequences = {sites[0].id: sites for sites in calls if len(sites) >= CALLS}
    parts = {site.id for sites in sequences.values() for site in sites[1:]}
    entries = evidence.recording.of_kind("input")
    return [sequences.get(site.id, [site]) for site in entries if site.id not in parts]


def _judge(evidence: Evidence, sites: list[Site]) -> Finding | None:
    site = sites[0]
    zeros, rms, offset, spread = (
        median(np.concatenate([evidence.series(part, quantity) for part in sites]))
        for quantity in ("zero_share", "rms", "feature_offset", "feature_spread")
    )
    if not rms > 0:
        return None
    normed = evidence.following(site) in NORMS
    # sparse inputs (one-hot) are judged by what they hold where they are not zero
    level = 20 * float(np.log10(rms / np.sqrt(max(1.0 - np.nan_to_num(zeros), 1e-6))))
    offset, spread = np.nan_to_num(offset), np.nan_to_num(spread, nan=1.0)
    signs = {
        # a normalisation that follows takes the level out again
        "level": -1.0 if normed else max((level - LEVEL_DB) / 10, (LOW_DB - level) / 10),
        "offset": np.log10(max(offset, 1e-9) / OFFSET) * 2,
        "spread": np.log10(spread / SPREAD) if level > LEVEL_DB / 2 else -1.0,
    }
    strongest = max(signs.values())
    if strongest < 0:
        return None
    what = [
        f"their level is {level:+.0f} dB (rms {rms:.3g})",
        f"their mean is {offset:.1f} standard deviations from zero",
        f"their features differ in scale by a factor of {spread:.0f}",
    ]
    reasons = [text for text, sign in zip(what, signs.values(), strict=True) if sign >= 0]
    return Finding(
        code="unnormalized-input",
        severity="error",
        confidence=confidence(float(strongest), 0.0, 0.5),
        site=site.name,
        since_step=evidence.step_at(0),
        message=f"The inputs of {site.name} are far from unit scale: {'; '.join(reasons)}.",
        evidence={"level_db": level, "feature_offset": offset, "feature_spread": spread},
        threshold={
            "level_db": [LOW_DB, LEVEL_DB],
            "feature_offset": OFFSET,
            "feature_spread": SPREAD,
        },
    )
