"""Gradients last until the step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    after_backwards,
    after_steps,
    before_steps,
    parameters_of,
)


@INTERVENTIONS.register("keep-gradients")
@contextmanager
def keep_gradients() -> Iterator[None]:
    """Where gradients are gone when an optimiser steps, let it have those of the last backward.

    The same as clearing them before the backward pass, and not between the two.
    """
    kept: dict[int, Tensor] = {}

    def note(leaves: list[Tensor]) -> None:
        for leaf in leaves:
            if leaf.grad is not None:
                kept[id(leaf)] = leaf.grad.detach().clone()

    def restore(optimizer: torch.optim.Optimizer) -> None:
        for parameter in parameters_of(optimizer):
            grad = kept.get(id(parameter))
            if grad is not None and _gone(parameter.grad):
                parameter.grad = grad
            else:
                kept.pop(id(parameter), None)

    def clear(optimizer: torch.optim.Optimizer) -> None:
        for parameter in parameters_of(optimizer):
            if kept.pop(id(parameter), None) is not None:
                parameter.grad = None

    with after_backwards(note), before_steps(restore), after_steps(clear):
        yield


def _gone(grad: Tensor | None) -> bool:
    if grad is None:
        return True
    return not bool((grad.coalesce().values() if grad.is_sparse else grad).any())
