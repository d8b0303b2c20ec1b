"""Adam: an average of the gradient over the root of an average of its square."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

from torch import Tensor
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.optim.reference import Reference, State


class Adam(Reference):
    """Adaptive moments: p <- p - lr m' / (sqrt(v') + eps).

    m <- beta1 m + (1 - beta1) g and v <- beta2 v + (1 - beta2) g^2 begin at zero; their weights
    add up to 1 - beta^t only, and m' and v' are divided by that (the correction of v stands inside
    the root). ``amsgrad`` takes the largest v so far.

    Args:
        params: parameters, or groups of them.
        lr: learning rate: about how far a weight moves in a step.
        betas: beta1 and beta2.
        eps: added to the root.
        weight_decay: added to the gradient, times the parameter.
        amsgrad: never let v sink.
        foreach: treat parameters together; None: where that is faster.
        maximize: ascend.
        decoupled_weight_decay: shrink the parameter by lr weight_decay instead (AdamW).
        bias_correction: False to see what m and v do without it; torch has no such argument.

    Raises:
        UsageError: an argument is negative, or a beta is not below 1.

    Source:
        Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1;
        ``amsgrad``: Reddi, Kale, Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = Adam([weight], lr=0.1)
        >>> weight.grad = torch.tensor([1000.0, -0.001])
        >>> optimizer.step()
        >>> weight.data
        tensor([0.9000, 1.1000])
    """

    def __init__(  # noqa: PLR0913 - as many as torch has
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        bias_correction: bool = True,
    ) -> None:
        for beta in betas:
            if not 0 <= beta < 1:
                msg = f"Each beta must be in [0, 1), and one is {beta}."
                raise UsageError(msg)
        options = {"lr": lr, "betas": betas, "eps": eps, "amsgrad": amsgrad}
        ours = {
            "decoupled_weight_decay": decoupled_weight_decay,
            "bias_correction": bias_correction,
        }
        shared = {"weight_decay": weight_decay, "maximize": maximize, "foreach": foreach}
        super().__init__(params, {**options, **ours, **shared})

    @override
    def update(self, p: Tensor, g: Tensor, state: State, group: dict[str, Any]) -> None:
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        if decay and group["decoupled_weight_decay"]:
            p.mul_(1 - lr * decay)
        elif decay:
            g = g.add(p, alpha=decay)
        m = state["exp_avg"].lerp_(g, 1 - beta1)
        v = state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            v = largest.copy_(largest.maximum(v))
        t, corrected = state.count(), group["bias_correction"]
        share1 = 1 - beta1**t if corrected else 1.0
        root2 = sqrt(1 - beta2**t) if corrected else 1.0
        # (m / share1) / (sqrt(v) / root2 + eps), multiplied out: numbers, not tensors, are scaled
        p.addcdiv_(m, v.sqrt().add_(group["eps"] * root2), value=-lr * root2 / share1)


class AdamW(Adam):
    """Adam whose weight decay acts on the parameter itself: p <- (1 - lr weight_decay) p.

    So decay is not divided by the gradient's size, as it is when it is added to the gradient.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: beta1 and beta2.
        eps: added to the root.
        weight_decay: share of the parameter that is taken away, times `lr`.
        amsgrad: never let v sink.
        maximize: ascend.
        foreach: treat parameters together; None: where that is faster.
        bias_correction: as in :class:`Adam`.

    Source:
        Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = AdamW([weight], lr=0.1, weight_decay=1.0)
        >>> weight.grad = torch.tensor([0.0])
        >>> optimizer.step()
        >>> round(weight.item(), 6)
        0.9
    """

    def __init__(  # noqa: PLR0913 - as many as torch has
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        bias_correction: bool = True,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            decoupled_weight_decay=True,
            bias_correction=bias_correction,
        )
