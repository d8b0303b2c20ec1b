"""Steps divided by the recent size of the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.optim.reference import Reference, State


class RMSprop(Reference):
    """Each weight's step is divided by its gradient's RMS: p <- p - lr g / (sqrt(v) + eps).

    Here v <- alpha v + (1 - alpha) g^2. ``centered`` takes the squared average of g away from v,
    which makes it the variance. With momentum the quotient enters b <- momentum b + quotient, and
    p moves by lr b. v begins at zero and is not corrected for it: first steps are long.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        alpha: how much of the average is kept.
        eps: added to the root.
        weight_decay: added to the gradient, times the parameter.
        momentum: how much of the last step is kept.
        centered: divide by the standard deviation.
        foreach: treat parameters together; None: where that is faster.
        maximize: ascend.

    Raises:
        UsageError: an argument is negative.

    Source:
        Hinton's lecture 6e; ``centered``: Graves, "Generating sequences with recurrent neural
        networks", 2013; as ``torch.optim.RMSprop`` has them.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = RMSprop([weight], lr=0.1, alpha=0.75)
        >>> weight.grad = torch.tensor([1000.0])
        >>> optimizer.step()
        >>> round(weight.item(), 3)
        0.8
    """

    def __init__(  # noqa: PLR0913 - as many as torch has
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if alpha < 0:
            msg = f"alpha must not be negative, and is {alpha}."
            raise UsageError(msg)
        options = {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum, "centered": centered}
        shared = {"weight_decay": weight_decay, "maximize": maximize, "foreach": foreach}
        super().__init__(params, {**options, **shared})

    @override
    def update(self, p: Tensor, g: Tensor, state: State, group: dict[str, Any]) -> None:
        alpha = group["alpha"]
        state.count()  # not used by the rule; torch's state dict has it
        if group["weight_decay"]:
            g = g.add(p, alpha=group["weight_decay"])
        v = state["square_avg"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"].lerp_(g, 1 - alpha)
            v = v.addcmul(mean, mean, value=-1)
        rms = v.sqrt().add_(group["eps"])
        if group["momentum"]:
            b = state["momentum_buffer"].mul_(group["momentum"]).addcdiv_(g, rms)
            p.add_(b, alpha=-group["lr"])
        else:
            p.addcdiv_(g, rms, value=-group["lr"])
