"""What a loss function is given, where it does not fit: shapes, scores, the level of targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

CLASSIFICATION: Final[frozenset[Callable[..., Any]]] = frozenset({F.cross_entropy, F.nll_loss})
DISTANCES: Final[frozenset[Callable[..., Any]]] = frozenset(
    {F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss}
)
"""Zero where the prediction is the target, and symmetric in both."""

_ROWS: Final = 64
"""Samples whose scores are looked at."""
_ROUNDING: Final = 1e-2
"""How far probabilities in sixteen bits may sum from one."""
_MOST: Final = 0.5
"""Share of the samples; of a few the numbers sum to one by accident."""


def looked_at(function: Callable[..., Any], prediction: Tensor, target: Tensor) -> dict[str, Any]:
    """What one call of a loss function shows, by the names of the run's facts.

    Args:
        function: of torch.nn.functional.
        prediction: its first argument.
        target: its second one.

    Returns:
        ``squashed_twice`` for probabilities in the place of scores, ``not_logarithms`` for scores
        in the place of log probabilities, ``broadcast`` for shapes that make a table of what
        should be a row, ``target_level`` for what is to be met. Each only where it applies.

    Example:
        >>> looked_at(F.mse_loss, torch.zeros(8, 1), torch.ones(8))["broadcast"]
        {'loss': 'mse_loss', 'input': '8 x 1', 'target': '8'}
    """
    with torch.no_grad():
        if function in CLASSIFICATION:
            return _scores(function, prediction)
        facts = _shapes(function, prediction, target)
        if prediction.requires_grad < target.requires_grad:  # a distance is the same both ways
            prediction, target = target, prediction
        if function in DISTANCES and not facts and not target.requires_grad:
            facts["target_level"] = _level(prediction, target)
        return facts


def _scores(function: Callable[..., Any], prediction: Tensor) -> dict[str, Any]:
    """Are scores probabilities, by whatever means they came to be so, or logarithms of none?"""
    if prediction.dim() < 2 or not prediction.is_floating_point():
        return {}
    rows = prediction.detach().movedim(1, -1).reshape(-1, prediction.shape[1])[:_ROWS].double()
    if len(rows) < 2 or not bool(torch.isfinite(rows).all()):
        return {}
    sums = rows.sum(1)
    if bool((rows >= 0).all()) and bool(((sums - 1).abs() < _ROUNDING).all()):
        return {"squashed_twice": {"loss": function.__name__, "input": "probabilities"}}
    total = rows.exp().sum(1)
    off = float(((total - 1).abs() > _ROUNDING).double().mean())
    if function is F.nll_loss and off > _MOST:
        told = {"loss": "nll_loss", "sum_of_probabilities": float(total.median())}
        return {"not_logarithms": told}
    return {}


def _shapes(function: Callable[..., Any], prediction: Tensor, target: Tensor) -> dict[str, Any]:
    try:
        shape: torch.Size = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
            prediction.shape, target.shape
        )
    except RuntimeError:  # the loss will say so
        return {}
    if shape.numel() <= max(prediction.numel(), target.numel()):
        return {}
    names = [" x ".join(map(str, tensor.shape)) for tensor in (prediction, target)]
    return {"broadcast": {"loss": function.__name__, "input": names[0], "target": names[1]}}


def _level(prediction: Tensor, target: Tensor) -> dict[str, float]:
    wanted, given = target.detach().double(), prediction.detach().double()
    return {
        "mean": float(wanted.mean()),
        "std": float(wanted.std(correction=0)),
        "output_rms": float(given.square().mean().sqrt()),
    }
