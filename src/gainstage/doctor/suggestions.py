"""What each finding suggests: the remedies, and the table by the findings' codes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import numpy as np

from gainstage.doctor.candidates import Candidate, Change
from gainstage.recording import Recording
from gainstage.records import Finding

Suggest: TypeAlias = Callable[[Finding, Recording], Iterable[Candidate]]

FAMILY: Final = {
    "relu": "relu",
    "relu6": "relu",
    "leaky_relu": "relu",
    "gelu": "relu",
    "silu": "relu",
    "elu": "relu",
    "mish": "relu",
    "hardswish": "relu",
    "tanh": "tanh",
    "sigmoid": "linear",
}
"""Which scheme suits an activation."""

LIVELY: Final = -2.5
"""log10 of an update over its weight that learns fast without harm; 1e-3 is the usual guide."""


AGAIN: Final = 4
"""Calls of a stage within a step that make it a recurrent one."""


def rate(factor: float, run: Recording) -> Candidate:
    """Longer or shorter steps."""
    rates = run.run_values("lr").astype(np.float64)
    rates = rates[np.isfinite(rates)]
    told = f", {rates[0]:g} -> {rates[0] * factor:.3g} where it begins" if len(rates) else ""
    return Candidate(
        f"learning rate x {factor:g}",
        (Change.of("scale-learning-rate", factor=factor),),
        f"Multiply the learning rate by {factor:g}{told}.",
    )


def reinitialise(run: Recording) -> Candidate:
    """Weights drawn again, as suits the activations of the run."""
    scheme = activation(run)
    told = {
        "relu": "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
        "tanh": "torch.nn.init.xavier_normal_(layer.weight, gain=5 / 3)",
        "linear": "torch.nn.init.xavier_normal_(layer.weight)",
    }[scheme]
    return Candidate(
        f"weights drawn again ({scheme})",
        (Change.of("reinitialise", activation=scheme, recurrent=recurrent(run)),),
        f"Draw every weight by {told}, recurrent ones by orthogonal_, and set biases to zero.",
    )


def _rectify() -> Candidate:
    return Candidate(
        "ReLU for sigmoid and tanh",
        (Change.of("rectify"), Change.of("reinitialise", activation="relu", recurrent=())),
        "Use nn.ReLU in the hidden layers, and draw their weights by kaiming_normal_.",
    )


def clip(norm: float) -> Candidate:
    """Gradients of at most a norm."""
    return Candidate(
        f"gradients clipped to norm {norm:g}",
        (Change.of("clip-gradients", norm=norm),),
        f"Call torch.nn.utils.clip_grad_norm_(model.parameters(), {norm:g}) before each step.",
    )


def _output(factor: float, layer: str) -> Candidate:
    return Candidate(
        f"output layer x {factor:g}",
        (Change.of("scale-output-layer", factor=factor, layer=layer),),
        f"Begin with a smaller output layer: multiply its weights and biases by {factor:g}.",
    )


def _both(first: Candidate, second: Candidate) -> Candidate:
    return Candidate(
        f"{first.name} and {second.name}",
        (*first.changes, *second.changes),
        f"{first.advice} {second.advice}",
    )


STANDARDISE: Final = Candidate(
    "standardised input",
    (Change.of("standardise-input"),),
    "Subtract each feature's mean over the training set and divide by its standard deviation, "
    "in training and in use.",
)
LEAKY: Final = Candidate(
    "leaky ReLU",
    (Change.of("leaky-activation", slope=0.1),),
    "Use nn.LeakyReLU(0.1) in the place of nn.ReLU.",
)
NO_DECAY: Final = Candidate(
    "no weight decay",
    (Change.of("drop-weight-decay"),),
    "Give the optimiser weight_decay=0, or a value some orders of magnitude smaller.",
)
_UNCLIP: Final = Candidate(
    "no gradient clipping",
    (Change.of("unclip"),),
    "Leave out the clipping, or clip at a norm that only outliers reach.",
)
_ZERO: Final = Candidate(
    "gradients zeroed",
    (Change.of("zero-gradients"),),
    "Call optimizer.zero_grad() before each backward pass.",
)
_SKIP: Final = Candidate(
    "steps on NaN skipped",
    (Change.of("skip-non-finite"),),
    "Step only if every gradient is finite; and look for a logarithm, root or division at zero.",
)
_LOGITS: Final = Candidate(
    "no softmax before the loss",
    (Change.of("remove-softmax"),),
    "Hand the logits to the loss: leave out the softmax or sigmoid before it.",
)
_TRAIN: Final = Candidate(
    "training mode",
    (Change.of("train-mode"),),
    "Call model.train() before the training passes, after every evaluation.",
)
_ADD: Final = Candidate(
    "all parameters optimised",
    (Change.of("add-missing-parameters"),),
    "Give the optimiser every parameter that is to learn.",
)


# ---- what each finding suggests


def activation(run: Recording) -> str:
    """The scheme that suits most of the activations of a run."""
    families = Counter(FAMILY[s.op] for s in run.of_kind("output") if s.op in FAMILY)
    return families.most_common(1)[0][0] if families else "linear"


def _squashes(run: Recording) -> bool:
    """Whether there are modules that could be rectifiers instead."""
    return any(site.op in {"tanh", "sigmoid"} for site in run.of_kind("output"))


def recurrent(run: Recording) -> tuple[str, ...]:
    """The stages that are called at least :data:`AGAIN` times in a step."""
    names = Counter(s.name.partition("#")[0] for s in run.of_kind("output"))
    return tuple(name for name, calls in names.items() if calls >= AGAIN)


def _faded(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield reinitialise(run)
    if _squashes(run):
        yield _rectify()
    yield _both(reinitialise(run), rate(0.1, run))


def _grown(finding: Finding, run: Recording) -> Iterable[Candidate]:
    yield reinitialise(run)
    if finding.code == "exploding-gradient":
        yield clip(1.0)
    yield rate(0.1, run)
    yield _both(reinitialise(run), rate(0.1, run))


def _dead(finding: Finding, run: Recording) -> Iterable[Candidate]:
    born = float(finding.evidence.get("dead_share_at_start") or 0.0) > 0.3
    first = [reinitialise(run), rate(0.1, run)]
    yield from first if born else first[::-1]
    yield _both(reinitialise(run), rate(0.1, run))
    yield LEAKY


def _saturated(finding: Finding, run: Recording) -> Iterable[Candidate]:
    born = float(finding.evidence.get("saturated_at_start") or 0.0) > 0.2
    first = [reinitialise(run), rate(0.1, run)]
    yield from first if born else first[::-1]
    yield STANDARDISE
    if _squashes(run):
        yield _rectify()


def _overconfident(finding: Finding, run: Recording) -> Iterable[Candidate]:
    rms = float(finding.evidence.get("output_rms") or 10.0)
    factor = 10.0 ** math.floor(math.log10(min(0.1, 0.3 / max(rms, 1e-9))))
    yield _output(factor, finding.site)
    yield reinitialise(run)


def _unscaled(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield STANDARDISE
    yield rate(0.01, run)


def _too_fast(finding: Finding, run: Recording) -> Iterable[Candidate]:
    ratio = float(finding.evidence.get("update_over_weight") or 0.0)
    factor = _decade(0.01 / ratio if ratio > 0 and math.isfinite(ratio) else 0.1, 1e-4, 0.1)
    yield rate(factor, run)
    yield rate(factor / 10 if factor == 0.1 else factor * 10, run)
    yield _both(reinitialise(run), rate(factor, run))


def _too_slow(finding: Finding, run: Recording) -> Iterable[Candidate]:
    fastest = finding.evidence.get("log10_update_over_weight_fastest")
    typical = finding.evidence.get("log10_update_over_weight", fastest)
    lacking = LIVELY - float(typical) if typical is not None else 2.0
    factor = _decade(10.0**lacking if math.isfinite(lacking) else 100.0, 10.0, 1e5)
    yield rate(factor, run)
    yield rate(factor * 10 if factor <= 10 else factor / 10, run)


def _diverged(finding: Finding, run: Recording) -> Iterable[Candidate]:
    grew = float(finding.evidence.get("loss_growth_before") or 0.0) > 2
    yield from (rate(0.1, run), _SKIP) if grew else (_SKIP, rate(0.1, run))
    yield clip(1.0)
    yield rate(0.01, run)


def _oscillating(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield rate(0.1, run)
    yield rate(0.01, run)


def _collapsed(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield reinitialise(run)
    yield rate(0.1, run)
    yield STANDARDISE


def _drawn_badly(finding: Finding, run: Recording) -> Iterable[Candidate]:
    del finding
    yield reinitialise(run)


def _nothing(finding: Finding, run: Recording) -> Iterable[Candidate]:
    """For these a change from outside would prove nothing: data, wiring, evaluation."""
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
    "parameters-not-updated": _only(_ADD),
    "gradients-not-zeroed": _only(_ZERO),
    "excessive-weight-decay": _only(NO_DECAY),
    "over-clipped-gradient": _only(_UNCLIP),
    "non-finite": _diverged,
    "softmax-before-cross-entropy": _only(_LOGITS),
    "eval-mode-in-training": _only(_TRAIN),
    "oscillating-loss": _oscillating,
    "collapsed-output": _collapsed,
    "disconnected-parameters": _nothing,
    "gradient-underflow": _nothing,
    "train-eval-gap": _nothing,
    "loss-not-decreasing": _nothing,
}
"""What a finding suggests, by its code."""
