"""Gradient descent along an exponential moving average of the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.optim.reference import Reference, State


class EMA(Reference):
    """Momentum as an average: m <- beta m + (1 - beta) g, p <- p - lr m; m begins at zero.

    The same steps as ``SGD(lr=(1 - beta) * lr, momentum=beta)``, and not as SGD with a dampening
    of beta, whose first step is not dampened. At step t the average's weights add up to
    1 - beta^t, so the first steps are small; ``bias_correction`` divides by that.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        beta: how much of the average is kept; 1 / (1 - beta) steps are remembered.
        weight_decay: added to the gradient, times the parameter.
        bias_correction: divide the average by the sum of its weights.
        maximize: ascend.
        foreach: treat parameters together; None: where that is faster.

    Raises:
        UsageError: an argument is negative, or beta is not below 1.

    Source:
        Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.tensor([2.0]))
        >>> optimizer = EMA([weight], lr=0.5, beta=0.5)
        >>> weight.grad = 2 * weight.detach()
        >>> optimizer.step()
        >>> weight.item()
        1.0
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        *,
        bias_correction: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        if not 0 <= beta < 1:
            msg = f"beta must be in [0, 1), and is {beta}."
            raise UsageError(msg)
        options = {"lr": lr, "beta": beta, "bias_correction": bias_correction}
        shared = {"weight_decay": weight_decay, "maximize": maximize, "foreach": foreach}
        super().__init__(params, {**options, **shared})

    @override
    def update(self, p: Tensor, g: Tensor, state: State, group: dict[str, Any]) -> None:
        beta, lr = group["beta"], group["lr"]
        if group["weight_decay"]:
            g = g.add(p, alpha=group["weight_decay"])
        m = state["exp_avg"].lerp_(g, 1 - beta)
        if group["bias_correction"]:
            lr = lr / (1 - beta ** state.count())
        p.add_(m, alpha=-lr)
