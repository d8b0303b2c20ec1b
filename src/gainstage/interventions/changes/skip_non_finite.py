"""No step on a gradient that is not finite."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import before_steps, parameters_of


@INTERVENTIONS.register("skip-non-finite")
def skip_non_finite() -> AbstractContextManager[None]:
    """Take the gradients away before a step if any of them holds NaN or Inf.

    An optimiser passes over parameters without a gradient.
    """
    return before_steps(_check)


def _check(optimizer: torch.optim.Optimizer) -> None:
    parameters = parameters_of(optimizer)
    grads = [
        p.grad.coalesce().values() if p.grad.is_sparse else p.grad
        for p in parameters
        if p.grad is not None
    ]
    if all(bool(torch.isfinite(grad).all()) for grad in grads):
        return
    for parameter in parameters:
        parameter.grad = None
