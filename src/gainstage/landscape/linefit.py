"""The loss of a straight line as a surface of its two weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gainstage.errors import UnknownNameError
from gainstage.landscape.surface import Surface

LOSSES: Final[dict[str, Callable[..., Tensor]]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "smooth_l1": F.smooth_l1_loss,
}
"""By torch's names; they take ``reduction``."""

KNEES: Final = {"huber": "delta", "smooth_l1": "beta"}
"""The losses that turn from a parabola into a line, and what torch calls the error where."""

_SPAN: Final = (-5.0, 8.0)
_ROUNDS: Final = 1_000
_STILL: Final = 1e-9


def noisy_parabola(count: int = 50) -> tuple[Tensor, Tensor]:
    """Points of 3/4 x^2 + x + 2 with a noise of 0.3: x and y, [count, 1] each, always the same."""
    # the generator of the published figures, numpy's old one
    generator = np.random.RandomState(20240215)
    x = generator.randn(count).astype(np.float32)
    y = (0.75 * x**2 + x + 2 + 0.3 * generator.randn(count)).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None]


@lru_cache(maxsize=64)
def line_fit(loss: str = "mse", knee: float = 1.0) -> Surface:
    """The loss of a line through noisy quadratic data over its bias and its weight.

    One neuron has two weights, so its loss can be seen whole: it is the surface on which
    experiment 8 (``gainstage lab run line-fit``) trains.

    Args:
        loss: ``"mse"``, ``"l1"``, ``"huber"`` or ``"smooth_l1"``.
        knee: the delta of Huber's loss, the beta of SmoothL1: the error at which the parabola
            turns into a line. The other losses have none.

    Raises:
        UnknownNameError: there is no such loss.

    Source:
        torch.nn.HuberLoss and torch.nn.SmoothL1Loss, for how the two relate.

    Example:
        >>> surface = line_fit("huber", 0.5)
        >>> surface.axes, [round(weight, 3) for weight in surface.optima[0]]
        (('bias', 'weight'), [2.378, 0.893])
    """
    if loss not in LOSSES:
        msg = f"There is no line fit by the loss {loss!r}. There are: {', '.join(LOSSES)}."
        raise UnknownNameError(msg)
    x, y = (column[:, 0] for column in noisy_parabola())
    function = LOSSES[loss]
    options = {KNEES[loss]: knee} if loss in KNEES else {}

    def mean_loss(bias: Tensor, weight: Tensor) -> Tensor:
        """The mean loss of a straight line through fifty points of a noisy parabola."""
        line = bias[..., None] + weight[..., None] * x.to(bias)
        target = y.to(bias).expand_as(line)
        return function(line, target, reduction="none", **options).mean(-1)

    told = ", ".join([loss, *(f"{name} {value:g}" for name, value in options.items())])
    source = "experiment 8: one neuron on noisy quadratic data; torch.nn's losses"
    optimum = _optimum(x.double(), y.double(), loss, knee)
    return Surface(
        f"line fit, {told}", mean_loss, (_SPAN, _SPAN), (optimum,), source, ("bias", "weight")
    )


def _optimum(x: Tensor, y: Tensor, loss: str, knee: float) -> tuple[float, float]:
    """Bias and weight of the best line: exact, or by weighted least squares until it stands."""
    design = torch.stack([torch.ones_like(x), x], 1)
    if loss == "l1":  # one of the best lines leads through two of the points
        pairs = torch.tensor(list(combinations(range(len(x)), 2)))
        lines = torch.linalg.solve(design[pairs], y[pairs])
        best = lines[(lines @ design.T - y).abs().mean(1).argmin()]
        return float(best[0]), float(best[1])
    share, best = torch.ones_like(x), torch.zeros(2).double()
    for _ in range(_ROUNDS):
        normal: Any = (design * share[:, None]).T
        before, best = best, torch.linalg.solve(normal @ design, normal @ y)
        if loss not in KNEES or bool((best - before).abs().max() < _STILL):
            break
        share = (knee / (design @ best - y).abs().clamp_min(1e-30)).clamp_max(1.0)
    return float(best[0]), float(best[1])
