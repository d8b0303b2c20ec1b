"""Gradient descent, with momentum as torch understands it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.optim.reference import Reference, State


class SGD(Reference):
    """Stochastic gradient descent: p <- p - lr b, with b <- momentum b + (1 - dampening) g.

    The first step is not dampened: b begins as g. Without momentum b is g; with Nesterov's
    momentum g + momentum b takes the place of b. Weight decay adds weight_decay p to g.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum: how much of the last step is kept.
        dampening: by how much less than the whole a gradient enters.
        weight_decay: added to the gradient, times the parameter.
        nesterov: look ahead along the momentum.
        maximize: ascend.
        foreach: treat parameters together; None: where that is faster.

    Raises:
        UsageError: an argument is negative, or Nesterov's momentum has none, or is dampened.

    Source:
        Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in
        deep learning", ICML 2013, as ``torch.optim.SGD`` has it.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.tensor([2.0]))
        >>> optimizer = SGD([weight], lr=0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     weight.grad = 2 * weight.detach()
        ...     optimizer.step()
        ...     print(weight.item())
        1.0
        0.0
    """

    takes_sparse: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913 - as many as torch has
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            msg = (
                f"Nesterov's momentum needs a momentum and no dampening; "
                f"they are {momentum} and {dampening}."
            )
            raise UsageError(msg)
        options = {"lr": lr, "momentum": momentum, "dampening": dampening, "nesterov": nesterov}
        shared = {"weight_decay": weight_decay, "maximize": maximize, "foreach": foreach}
        super().__init__(params, {**options, **shared})

    @override
    def update(self, p: Tensor, g: Tensor, state: State, group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        if group["weight_decay"]:
            g = g.add(p, alpha=group["weight_decay"])
        if momentum:
            if "momentum_buffer" in state:
                b = state["momentum_buffer"].mul_(momentum).add_(g, alpha=1 - group["dampening"])
            else:
                b = state.start("momentum_buffer", g)
            g = g.add(b, alpha=momentum) if group["nesterov"] else b
        p.add_(g, alpha=-group["lr"])
