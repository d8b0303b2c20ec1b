"""The first loss: what theory expects of it, beside what it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gainstage.init.prediction import predict
from gainstage.records import Finding
from gainstage.theory.results import ExpectedLoss

TOO_SURE: Final = 1.5
"""The first loss over that of equal odds for all classes, beyond which it is a finding."""
_DRAWS: Final = 4096


def expected_loss(model: nn.Module, batch: Any, loss_fn: Callable[..., Tensor]) -> ExpectedLoss:
    """Hold the first loss against theory.

    Args:
        model: the network.
        batch: as in :func:`gainstage.profile`.
        loss_fn: likewise; for cross entropy an expectation is known.
    """
    levels = predict(model, batch, loss_fn)
    scores = next((s for s in reversed(levels.stages) if s.name), levels.stages[-1])
    shape = levels.output_shape
    std, classes = scores.predicted_std, shape[1] if len(shape) > 1 else 1
    name = getattr(loss_fn, "__name__", type(loss_fn).__name__)
    if name not in {"cross_entropy", "CrossEntropyLoss"} or classes < 2:
        return ExpectedLoss(levels.loss, math.nan, math.nan, std)
    chance = math.log(classes)
    expected = of_gaussian_scores(classes, std)
    finding = None
    if levels.loss > TOO_SURE * chance:
        finding = Finding(
            "overconfident-start",
            "warning",
            0.9,
            scores.name,
            0,
            f"The first loss is {levels.loss:.3g}, where equal odds for {classes} classes give "
            f"{chance:.3g}: the scores' deviation is {scores.std:.3g} (predicted {std:.3g}). "
            f"Make {scores.name} smaller.",
            {"loss": levels.loss, "chance_loss": chance, "expected": expected},
            {"ratio": TOO_SURE},
        )
    return ExpectedLoss(levels.loss, chance, expected, std, finding)


def of_gaussian_scores(classes: int, std: float) -> float:
    """Cross entropy of independent scores N(0, std^2) against any label.

    About ln C + std^2/2 while std is small.

    Example:
        >>> round(of_gaussian_scores(27, 0.0), 3)
        3.296
    """
    chance = torch.Generator().manual_seed(0)
    scores = std * torch.randn(_DRAWS, classes, generator=chance, dtype=torch.float64)
    return float(F.cross_entropy(scores, torch.zeros(_DRAWS, dtype=torch.long)))
