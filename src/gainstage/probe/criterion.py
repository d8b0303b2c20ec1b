"""What the loss would be for the best constant prediction: the floor of not learning anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.probe.arguments import CLASSIFICATION, DISTANCES, looked_at
from gainstage.probe.graph import value_of, value_there
from gainstage.probe.handwritten import Handwritten
from gainstage.probe.lossgraph import Reading
from gainstage.probe.recorder import Recorder

REGRESSION: Final[frozenset[Callable[..., Any]]] = DISTANCES | {
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.poisson_nll_loss,
}
LOSSES: Final = CLASSIFICATION | REGRESSION
_LOGITS: Final = frozenset({F.binary_cross_entropy_with_logits})
_SAME: Final = 1e-4
_SCALER: Final = 3
"""Smallest power of two that is taken for a gradient scaler's factor."""
_LOOKS: Final = 8
"""Calls whose arguments are looked at."""
_NEAR: Final = 0.25
"""How much of the loss may come from elsewhere (a penalty) for the comparison to stand."""


class Criterion:
    """Follows the calls of a loss function and keeps the loss of a constant prediction beside it.

    Targets accumulate over the run, so small batches do not flatter the constant. Classes:
    entropy of the labels seen so far (with label smoothing mixed in); numbers: the same loss
    function at the mean target per column; probabilities: at the mean rate. Targets that are
    trained themselves have no such constant: they may come to meet any.

    Attributes:
        facts: what the run shows of its loss.
        written: looks at losses that the script writes out itself.
    """

    def __init__(self) -> None:
        self._counts: Tensor | None = None
        self._total: Tensor | None = None
        self._rows = 0
        self._calls: list[tuple[float, float]] = []
        self._seen = 0
        self.facts: dict[str, Any] = {}
        self.written = Handwritten()

    def saw(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        loss: Tensor,
    ) -> None:
        """Take in one call of a loss function of :data:`LOSSES`."""
        prediction = args[0] if args else kwargs.get("input")
        target = args[1] if len(args) > 1 else kwargs.get("target", kwargs.get("targets"))
        if not isinstance(prediction, Tensor) or not isinstance(target, Tensor):
            return
        self._seen += 1
        if self._seen <= _LOOKS:
            self.note(looked_at(function, prediction, target))
        if loss.numel() != 1:
            return
        self.facts["loss"] = function.__name__
        if function is F.poisson_nll_loss or kwargs.get("weight") is not None:
            # no loss that ends at zero; or the best constant depends on each batch's weights
            chance = math.nan
        elif function in CLASSIFICATION:
            chance = self._of_classes(prediction, target, kwargs)
        else:
            chance = self._constant(function, prediction, target, kwargs)
        self._calls.append((float(loss.detach()), chance))

    def record(self, roots: Sequence[Tensor], weights: Any, recorder: Recorder) -> None:
        """Record the loss of a backward, and that of a constant prediction where it is known.

        Args:
            roots: where the backward begins.
            weights: one gradient for all, one for each, or None.
            recorder: where the numbers go; later, if the loss is on another device.
        """
        called = bool(self._calls)
        if not called and weights is None and len(roots) == 1:
            found = self.written.read(roots[0])
            if found is not None:
                self._calls.append((found.value, self._of(found)))
        self.written.over(roots, called=called)
        there = None if self._calls else value_there(roots, weights)
        if there is not None:
            recorder.later(there, lambda found: recorder.add_loss(float(found[0]), float(found[0])))
            return
        differentiated = value_of(roots, weights)
        value = self.unscaled(differentiated)
        recorder.add_loss(differentiated, value)
        recorder.add_run(chance_loss=self.take(value))

    def note(self, facts: dict[str, Any]) -> None:
        """Keep what the arguments of a loss, or the graph behind it, have shown first."""
        self.facts = {**facts, **self.facts}

    def unscaled(self, loss: float) -> float:
        """A backward's loss without the factor, a large power of two, of a gradient scaler."""
        value = self._calls[-1][0] if self._calls else 0.0
        if not (math.isfinite(loss) and math.isfinite(value)) or value == 0.0:
            return loss
        factor = loss / value
        power = round(math.log2(factor)) if factor > 0 else 0
        scaled = power >= _SCALER and abs(factor / 2**power - 1) < _SAME
        return loss / 2**power if scaled else loss

    def take(self, loss: float) -> float:
        """The chance loss on the scale of a backward's `loss`, and forget the calls behind it.

        NaN when no loss function was seen, or when the loss is mostly something else.
        """
        calls, self._calls = self._calls, []
        value = chance = 0.0
        for one_value, one_chance in reversed(calls):  # earlier ones may be a validation's
            value, chance = value + one_value, chance + one_chance
            if abs(loss - value) <= _SAME * abs(value):
                return chance
        if not math.isfinite(chance) or value == 0.0 or not math.isfinite(loss):
            return math.nan
        ratio = value / loss if loss else math.nan
        if ratio > 1.5 and abs(ratio - round(ratio)) < 1e-3 * ratio:  # divided for accumulation
            return chance / ratio
        if abs(loss - value) <= _NEAR * abs(value):
            return chance + (loss - value)
        return math.nan

    def _of(self, found: Reading) -> float:
        """The chance loss where the script computes the loss itself; NaN where it is zero."""
        self.facts["loss"] = found.function.__name__
        if not found.classes:
            chance = self._at_mean(found.function, found.target, {"reduction": "sum"})
        elif found.target.is_floating_point():
            counts = found.target.double().reshape(-1, found.classes).sum(0)
            chance = self._entropy(counts) * (found.target.numel() // found.classes)
        else:
            labels = found.target.reshape(-1)
            counts = torch.bincount(labels, minlength=found.classes).double()
            chance = self._entropy(counts) * labels.numel()
        return found.scale * chance if chance > 0 else math.nan

    def _of_classes(self, prediction: Tensor, target: Tensor, kwargs: dict[str, Any]) -> float:
        classes = prediction.shape[1] if prediction.dim() > 1 else prediction.shape[0]
        if target.is_floating_point():
            rows = target.detach().double().movedim(min(1, target.dim() - 1), -1)
            counts = rows.reshape(-1, classes).sum(0).cpu()
            n = rows.numel() // classes
        else:
            labels = target.detach().reshape(-1).cpu()
            labels = labels[(labels >= 0) & (labels < classes)]
            labels = labels[labels != kwargs.get("ignore_index", -100)]
            counts = torch.bincount(labels.long(), minlength=classes).double()
            n = labels.numel()
        entropy = self._entropy(counts, float(kwargs.get("label_smoothing", 0.0) or 0.0))
        return entropy * (n if kwargs.get("reduction") == "sum" else 1)

    def _entropy(self, counts: Tensor, smoothing: float = 0.0) -> float:
        """Of the classes seen so far, with a batch's counts: [C]."""
        classes = len(counts)
        if self._counts is None or self._counts.numel() != classes:
            self._counts = torch.zeros(classes, dtype=torch.float64)
        self._counts += counts
        self.facts["classes"] = classes
        share = self._counts / self._counts.sum()
        share = (1 - smoothing) * share + smoothing / classes
        return float(-(share * share.clamp_min(1e-300).log()).sum())

    def _constant(
        self,
        function: Callable[..., Any],
        prediction: Tensor,
        target: Tensor,
        kwargs: dict[str, Any],
    ) -> float:
        if prediction.shape != target.shape:
            return math.nan
        if target.requires_grad:  # trained as well: of two views, say; or the two were swapped
            if prediction.requires_grad or function not in DISTANCES:
                self.facts["targets"] = "trained"
                return math.nan
            target = prediction
        return self._at_mean(function, target, kwargs)

    def _at_mean(
        self, function: Callable[..., Any], target: Tensor, kwargs: dict[str, Any]
    ) -> float:
        """A loss of numbers at the mean of those seen so far."""
        rows = target.detach().double()
        rows = rows.reshape(rows.shape[0] if rows.dim() else 1, -1)
        total = rows.sum(0)
        if self._total is None or self._total.shape != total.shape:
            self._total, self._rows = torch.zeros_like(total), 0
        self._total += total
        self._rows += rows.shape[0]
        mean = self._total / self._rows
        if function in _LOGITS:
            pull = kwargs.get("pos_weight")
            if pull is not None:  # each hit counts that often
                hits = mean * pull.detach().expand_as(target)[0].reshape(-1).double()
                mean = hits / (hits + 1 - mean)
            mean = torch.logit(mean.clamp(1e-6, 1 - 1e-6))
        kept = {k: v for k, v in kwargs.items() if k not in {"input", "target"}}
        best = mean.expand_as(rows).reshape(target.shape)
        return float(function(best, rows.reshape(target.shape), **kept))
