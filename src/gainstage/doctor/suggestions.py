"""What each finding suggests: the remedies, and the table by the findings' codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from gainstage.doctor.candidates import Candidate
from gainstage.doctor.repertoire import (
    ADD,
    BATCH_NORM,
    CALIBRATE,
    DAMP,
    GUARD,
    HOLD,
    KEEP_GRADIENTS,
    KEEP_GRAPH,
    LEAKY,
    LOGARITHM,
    LOGITS,
    MATCH,
    NO_DECAY,
    NORMALISE,
    PRECISE,
    RECORD_GRAPH,
    SHUFFLE,
    SKIP,
    SKIP_CONNECTIONS,
    SKIP_LAYERS,
    STANDARDISE,
    STANDARDISE_TARGET,
    TEMPER,
    TRAIN,
    UNCLIP,
    ZERO,
    blocks,
    clip,
    deep,
    modules,
    no_decay,
    output,
    rate,
    rectify,
    reinitialise,
    squashes,
)
from gainstage.recording import Recording
from gainstage.records import Finding

Suggest: TypeAlias = Callable[[Finding, Recording], Iterable[Candidate]]

LIVELY: Final = -2.5
"""log10 of an update over its weight that learns fast without harm; 1e-3 is the usual guide."""


def _faded(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield reinitialise(run)
    yield CALIBRATE
    if squashes(run):
        yield rectify()
    yield BATCH_NORM
    yield from _past(run)
    yield reinitialise(run).joined(rate(0.1, run))


def _grown(finding: Finding, run: Recording) -> Iterable[Candidate]:
    yield reinitialise(run)
    yield CALIBRATE
    if blocks(run):
        yield from _past(run)
    if finding.code == "exploding-gradient":
        yield clip(1.0)
    yield rate(0.1, run)
    yield BATCH_NORM
    if not blocks(run):
        yield from _past(run)
    yield reinitialise(run).joined(rate(0.1, run))


def _past(run: Recording) -> Iterable[Candidate]:
    """A way past blocks, or past layers that are not made into any."""
    if blocks(run):
        yield SKIP_CONNECTIONS
    elif deep(run):
        yield SKIP_LAYERS


def _dead(finding: Finding, run: Recording) -> Iterable[Candidate]:
    born = float(finding.evidence.get("dead_share_at_start") or 0.0) > 0.3
    first = [reinitialise(run), rate(0.1, run)]
    yield from first if born else first[::-1]
    yield reinitialise(run).joined(rate(0.1, run))
    yield LEAKY


def _saturated(finding: Finding, run: Recording) -> Iterable[Candidate]:
    born = float(finding.evidence.get("saturated_at_start") or 0.0) > 0.2
    first = [reinitialise(run), TEMPER, CALIBRATE, rate(0.1, run)]
    yield from first if born else first[::-1]
    if modules(run):
        yield STANDARDISE
    yield BATCH_NORM
    if squashes(run):
        yield rectify()


def _overconfident(finding: Finding, run: Recording) -> Iterable[Candidate]:
    rms = float(finding.evidence.get("output_rms") or 10.0)
    factor = 10.0 ** math.floor(math.log10(min(0.1, 0.3 / max(rms, 1e-9))))
    yield output(factor, finding.site.partition("#")[0])
    yield reinitialise(run)


def _unscaled(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield STANDARDISE
    yield rate(0.01, run)


def _probabilities(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del run
    yield LOGARITHM if finding.evidence.get("loss") == "nll_loss" else LOGITS


def _far_targets(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield STANDARDISE_TARGET
    yield rate(10.0, run)
    yield rate(100.0, run)


def _too_fast(finding: Finding, run: Recording) -> Iterable[Candidate]:
    ratio = float(finding.evidence.get("update_over_weight") or 0.0)
    factor = _decade(0.01 / ratio if ratio > 0 and math.isfinite(ratio) else 0.1, 1e-4, 0.1)
    yield rate(factor, run)
    yield rate(factor / 10 if factor == 0.1 else factor * 10, run)
    yield reinitialise(run).joined(rate(factor, run))


def _too_slow(finding: Finding, run: Recording) -> Iterable[Candidate]:
    if finding.evidence.get("used_up_by_schedule"):
        yield HOLD
        yield rate(10.0, run)
        return
    fastest = finding.evidence.get("log10_update_over_weight_fastest")
    typical = finding.evidence.get("log10_update_over_weight", fastest)
    lacking = LIVELY - float(typical) if typical is not None else 2.0
    factor = _decade(10.0**lacking if math.isfinite(lacking) else 100.0, 10.0, 1e5)
    yield rate(factor, run)
    yield rate(factor * 10 if factor <= 10 else factor / 10, run)


def _decayed(finding: Finding, run: Recording) -> Iterable[Candidate]:
    """No decay; of updates by hand, where it is a part of the gradient that can be taken off."""
    del finding
    inferred = run.info.facts.get("inferred")
    if inferred is None:
        yield NO_DECAY
    elif not inferred["decoupled"]:
        yield no_decay(inferred["weight_decay"], inferred["lr"])


def _diverged(finding: Finding, run: Recording) -> Iterable[Candidate]:
    grew = float(finding.evidence.get("loss_growth_before") or 0.0) > 2
    yield from (rate(0.1, run), GUARD) if grew else (GUARD, rate(0.1, run))
    yield SKIP
    yield clip(1.0)
    yield rate(0.01, run)


def _oscillating(finding: Finding, run: Recording) -> Iterable[Candidate]:
    if finding.evidence.get("returns_with_each_pass"):
        yield SHUFFLE
    if run.info.facts.get("optimizers"):
        yield DAMP
    yield rate(0.1, run)
    yield rate(0.01, run)


def _cut(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding, run
    yield KEEP_GRAPH
    yield RECORD_GRAPH


def _collapsed(finding: Finding, run: Recording) -> Iterable[Candidate]:
    """None where one answer for all satisfies the loss: a lower one would be a worse collapse."""
    if "spread_at_start" in finding.evidence:
        return
    yield reinitialise(run)
    yield rate(0.1, run)
    yield STANDARDISE
    yield BATCH_NORM


def _not_updated(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del run
    yield KEEP_GRADIENTS if "gradient_left" in finding.evidence else ADD


def _drawn_badly(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield reinitialise(run)


def _nothing(finding: Finding, run: Recording) -> Iterable[Candidate]:
    """For these a change from outside would prove nothing: data, evaluation."""
    del finding, run
    return ()


def _only(one: Candidate) -> Suggest:
    return lambda _finding, _run: (one,)


def _decade(value: float, low: float, high: float) -> float:
    """The power of ten nearest to a value, within limits."""
    return min(max(10.0 ** round(math.log10(value)), low), high)


SUGGESTIONS: Final[dict[str, Suggest]] = {
    "vanishing-gradient": _faded,
    "vanishing-activation": _faded,
    "exploding-gradient": _grown,
    "exploding-activation": _grown,
    "dead-units": _dead,
    "saturated-units": _saturated,
    "symmetric-weights": _drawn_badly,
    "poor-initialization": _drawn_badly,
    "overconfident-start": _overconfident,
    "unnormalized-input": _unscaled,
    "learning-rate-too-high": _too_fast,
    "learning-rate-too-low": _too_slow,
    "parameters-not-updated": _not_updated,
    "gradients-not-zeroed": _only(ZERO),
    "excessive-weight-decay": _decayed,
    "over-clipped-gradient": _only(UNCLIP),
    "non-finite": _diverged,
    "softmax-before-cross-entropy": _probabilities,
    "broadcast-loss": _only(MATCH),
    "nll-without-log-softmax": _only(NORMALISE),
    "unnormalized-target": _far_targets,
    "eval-mode-in-training": _only(TRAIN),
    "oscillating-loss": _oscillating,
    "collapsed-output": _collapsed,
    "disconnected-parameters": _cut,
    "gradient-underflow": _only(PRECISE),
    "train-eval-gap": _nothing,
    "loss-not-decreasing": _nothing,
    "ranks-disagree": _nothing,
    "rank-missing": _nothing,
    "straggler": _nothing,
}
"""What a finding suggests, by its code."""


def has_remedy(code: str) -> bool:
    """Whether a finding of that code suggests anything at all.

    Example:
        >>> has_remedy("gradients-not-zeroed"), has_remedy("train-eval-gap")
        (True, False)
    """
    return SUGGESTIONS.get(code, _nothing) is not _nothing
