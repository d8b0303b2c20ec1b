"""Gradients are cleared after each step."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import after_steps, parameters_of


@INTERVENTIONS.register("zero-gradients")
def zero_gradients() -> AbstractContextManager[None]:
    """Forget the gradients of what an optimiser steps, once it has stepped."""
    return after_steps(_clear)


def _clear(optimizer: torch.optim.Optimizer) -> None:
    for parameter in parameters_of(optimizer):
        parameter.grad = None
