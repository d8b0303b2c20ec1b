"""What the network computes does not depend on its input.

Problem: from some stage on the signal is the same for every sample, so the network can only learn
one constant answer.

Why: what differs between samples has been lost on the way: dead or saturated units, weights that
shrank to nothing beside the biases, inputs whose common offset is far larger than what varies, an
operation over the axis of the batch (a softmax, a mean) that was meant for another one. Or training
itself has silenced a stage, because a penalty weighs more than what the stage is for (the posterior
collapse of a variational autoencoder), or a loss is met by one answer for all (two views of a
sample that shall agree, and nothing that keeps samples apart).

What to do: look at the first stage where it happens, and at what comes before it: at the axes of
its operations, too; centre the inputs; weigh penalties down, and sum or average all terms of the
loss alike; keep samples apart (negatives, a predictor with a stopped gradient, a term for the
variance).

Harmless when: the last layer alone answers nearly the same for all. Then there may be nothing to
learn from these inputs and labels, and its answer is the best there is.

Source: Ioffe & Szegedy 2015 (why the spread over a batch matters); Glorot & Bengio 2010.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gainstage.diagnosis.evidence import Evidence, Floats, median
from gainstage.diagnosis.growth import CALLS
from gainstage.diagnosis.operations import PARAMETRIC
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding, Site

SPREAD = 0.01
"""Standard deviation over the samples, over the rms, at a hidden stage."""
DIFFERED = 0.05
"""The same, before the first step, of an answer that did depend on the input once."""
VIEWS, LOST = 0.15, 2.0
"""The same, where a network answers to several views of a sample: the views differ by noise, so the
answers never agree wholly. And how many times less than at the start; in health it is more."""
TIED = 0.7
"""Spread of the difference of the gradients (in dB) that two answers get in a step, over that of
the change of one from step to step. Where the answers shall agree with each other, the one's
gradient mirrors the other's; those of two independent batches differ as much as of two steps: 1."""
GROWN = 3.0
"""Growth of the differences themselves that rules a collapse out."""
SURE = 0.9
"""A collapse is a state, and mostly somebody's effect: plain causes stand above it."""
SILENCED = 20.0
"""Fall of a hidden stage's level in dB, from the first steps to the last."""
NARROW, NARROWED = 0.1, 5.0
"""What answers differ by over the samples, and how many times less than at the start, where a stage
has fallen silent under a loss whose chance is not known."""
ROUNDING = 1e-6
"""Less of a difference is none."""
LOOKS = 3


@rule("collapsed-output", may_cause=("loss-not-decreasing", "learning-rate-too-low"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Find the stage from which on all samples look the same, or that has fallen silent."""
    progress = evidence.progress
    if progress.failed:
        yield from list(_alike(evidence)) or list(_mixed(evidence)) or _silenced(evidence)
    elif np.isnan(progress.chance) and not progress.diverged:
        yield from list(_constant_answer(evidence)) or _muted(evidence)


def _alike(evidence: Evidence) -> Iterable[Finding]:
    """The first hidden stage from which on all samples look the same."""
    found = [(s, _spread(evidence, s)) for s in evidence.hidden]
    known = [(s, spread) for s, spread in found if np.isfinite(spread)]
    lost = next((i for i in range(len(known)) if all(v < SPREAD for _, v in known[i:])), None)
    if lost is None:
        return
    site, spread = known[lost]
    before = known[lost - 1][1] if lost else np.nan
    yield Finding(
        code="collapsed-output",
        severity="error",
        confidence=_confidence(spread),
        site=site.name,
        since_step=_judged_from(evidence, site),
        message=(
            f"From {site.name} on the samples differ by {spread:.2g} of the signal: what the "
            "network answers hardly depends on its input."
        ),
        evidence={"spread_over_samples": spread, "spread_before": before},
        threshold={"spread_over_samples": SPREAD},
    )


def _mixed(evidence: Evidence) -> Iterable[Finding]:
    """An answer that is always the same for all samples, though hidden stages tell them apart.

    A last layer that begins at zero answers so at the first look alone. A stage of the same shape
    may be another part of the answer, to which a constant is added.
    """
    last = _answer(evidence)
    looks = np.array([]) if last is None else _looks(evidence, last)
    looks = looks[np.isfinite(looks)]
    if last is None or len(looks) < LOOKS or not looks.max() < ROUNDING:
        return
    told_apart = [s for s in evidence.hidden if _spread(evidence, s) > DIFFERED]
    if not told_apart or told_apart[-1].shape[1:] == last.shape[1:]:
        return
    if not evidence.late(evidence.series(last, "rms")) > 0:
        return
    yield Finding(
        code="collapsed-output",
        severity="error",
        confidence=SURE,
        site=last.name,
        since_step=evidence.step_at(0),
        message=(
            f"{last.name} answers the same for all samples at every step, though "
            f"{told_apart[-1].name} tells them apart: what lies between drops or mixes the samples."
        ),
        evidence={
            "spread_over_samples": float(looks.max()),
            "spread_before": _spread(evidence, told_apart[-1]),
        },
        threshold={"spread_over_samples": ROUNDING},
    )


def _constant_answer(evidence: Evidence) -> Iterable[Finding]:
    """A loss that fell because one answer for all inputs satisfies it.

    Where the loss of the best constant answer is known, a training that has learnt cannot give
    one; a loss that the script made itself (of two views of a sample, say) may be met by it. An
    answer that comes to differ less because its mean has grown (targets far from zero) is another
    thing: there the differences themselves have grown.
    """
    last = _answer(evidence)
    if last is None:
        return
    early, late, grown = _narrowed(evidence, last)
    alike = late < SPREAD and early > DIFFERED
    if not (alike or (_views(evidence, last) and late < VIEWS and late * LOST < early)):
        return
    if grown > GROWN:
        return
    yield Finding(
        code="collapsed-output",
        severity="error",
        confidence=min(
            SURE, confidence(float(np.log2(max(early, 1e-9) / max(late, 1e-9))), 1.0, 0.7)
        ),
        site=last.name,
        since_step=_judged_from(evidence, last),
        message=(
            f"The loss has fallen to {evidence.progress.late:.3g}, and {last.name} answers nearly "
            f"the same for all samples: they differ by {late:.2g} of it, {early:.2g} at the start."
        ),
        evidence={"spread_over_samples": late, "spread_at_start": early},
        threshold={"spread_over_samples": SPREAD if alike else VIEWS, "spread_at_start": DIFFERED},
    )


def _views(evidence: Evidence, last: Site) -> bool:
    """Whether two answers shall agree: of one stage, a few times a step, or of two networks."""
    if evidence.recording.info.facts.get("targets") == "trained":
        return True
    name = last.name.partition("#")[0]
    calls = [evidence.level(s, "l2") for s in evidence.calls("output_grad").get(name, ())]
    if len(calls) not in range(2, CALLS):
        return False
    one, other = calls[:2]
    return _deviation(one - other) < TIED * _deviation(np.diff(one))


def _deviation(levels: Floats) -> float:
    """Standard deviation of the known values; NaN if there are none."""
    known = levels[np.isfinite(levels)]
    return float(known.std()) if len(known) else float("nan")


def _answer(evidence: Evidence) -> Site | None:
    """The last stage with weights."""
    stages = (s for s in evidence.outputs if s.op in PARAMETRIC)
    return max(stages, key=lambda site: site.order, default=None)


def _confidence(spread: float) -> float:
    decades = float(np.log10(max(spread, 1e-12)))
    return min(SURE, confidence(decades, float(np.log10(SPREAD)), -0.5))


def _silenced(evidence: Evidence) -> Iterable[Finding]:
    """The hidden stage with weights whose level has fallen most."""
    hidden = {s.name for s in evidence.hidden}
    levels = [(s, evidence.level(s)) for s in evidence.chain("output") if s.name in hidden]
    fallen = [(evidence.early(level) - evidence.late(level), s) for s, level in levels]
    fallen = [(fall, s) for fall, s in fallen if np.isfinite(fall)]
    fall, site = max(fallen, key=lambda pair: pair[0], default=(0.0, None))
    if site is None or fall < SILENCED:
        return
    level = evidence.level(site)
    yield Finding(
        code="collapsed-output",
        severity="error",
        confidence=confidence(fall, SILENCED, 15.0),
        site=site.name,
        since_step=_since(evidence, level < evidence.early(level) - SILENCED / 2),
        message=(
            f"Training has turned {site.name} down by {fall:.0f} dB, and the loss is that of an "
            "answer that does not depend on the input."
        ),
        evidence={"fall_in_db": fall, "level_in_db": evidence.late(level)},
        threshold={"fall_in_db": SILENCED},
    )


def _muted(evidence: Evidence) -> Iterable[Finding]:
    """A stage that has fallen silent under a loss of the script's own, which may fall all the same.

    The answer differs by far less over the samples than it did: it follows what lies behind that
    stage (the noise that a variational autoencoder adds), and no more what comes before it.
    """
    last = _answer(evidence)
    if last is None:
        return
    early, late, grown = _narrowed(evidence, last)
    if not (late < NARROW and late * NARROWED < early and grown * 2 < 1):
        return
    for found in _silenced(evidence):
        if float(found.evidence["level_in_db"]) > -SILENCED:
            continue  # it was loud, and is as others are
        message = (
            f"Training has turned {found.site} down by {found.evidence['fall_in_db']:.0f} dB, and "
            f"answers differ by {late:.2g} over the samples, {early:.2g} at the start."
        )
        yield replace(found, severity="warning", message=message)


def _narrowed(evidence: Evidence, site: Site) -> tuple[float, float, float]:
    """Difference over the samples at first and late, and growth of the differences themselves."""
    early, late = evidence.first(_looks(evidence, site)), _spread(evidence, site)
    level = evidence.level(site)
    grown = 10 ** ((evidence.late(level) - evidence.first(level)) / 20)
    return early, late, grown * late / max(early, 1e-9)


def _spread(evidence: Evidence, site: Site) -> float:
    """How much of a stage depends on the sample, in the later looks."""
    looks = _looks(evidence, site)
    enough = np.isfinite(looks).sum() >= LOOKS
    return median(looks[_late(looks)]) if enough else float("nan")


def _late(looks: Floats) -> NDArray[np.intp]:
    """Where the looks of the second half of the training are; the last one, if there is none."""
    looked = np.flatnonzero(np.isfinite(looks))
    late = looked[looked >= len(looks) // 2]
    return late if len(late) else looked[-1:]


def _looks(evidence: Evidence, site: Site) -> Floats:
    """How much of a stage depends on the sample; 0 where it is all zero, NaN without a look."""
    spread = evidence.series(site, "sample_spread")
    silent = evidence.series(site, "rms") == 0
    return np.where(silent & ~np.isfinite(spread), 0.0, spread)


def _judged_from(evidence: Evidence, site: Site) -> int:
    """The step of the first of the later looks: how long before it was so does not count."""
    return evidence.step_at(int(_late(_looks(evidence, site))[0]))


def _since(evidence: Evidence, lost: NDArray[np.bool_]) -> int:
    """The step at which it was first so."""
    return evidence.step_at(int(np.argmax(lost)))
