"""Gradients of at most a given norm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    Function,
    after_backwards,
    before_steps,
    optimizers_made,
    parameters_of,
    replaced,
)


@INTERVENTIONS.register("clip-gradients")
@contextmanager
def clip_gradients(norm: float) -> Iterator[None]:
    """Clip the norm of all gradients of an optimiser together, before each of its steps.

    Where there is no optimiser, those that each backward pass leaves, or that
    ``torch.autograd.grad`` returns.

    Args:
        norm: the largest that is let through.
    """
    clip = torch.nn.utils.clip_grad_norm_

    def grad(original: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            grads = original(*args, **kwargs)
            if made or kwargs.get("create_graph") or kwargs.get("is_grads_batched"):
                return grads
            _shorten(grads, norm)
            return grads

        return wrapper

    def after(leaves: list[Tensor]) -> None:
        if not made:
            _shorten((leaf.grad for leaf in leaves), norm)

    with (
        optimizers_made() as made,
        before_steps(lambda one: _ignore(clip(parameters_of(one), norm))),
        after_backwards(after),
        replaced(torch.autograd, "grad", grad),
    ):
        yield


@torch.no_grad()
def _shorten(given: Iterable[Tensor | None], norm: float) -> None:
    """Scale gradients so that all together have at most a norm."""
    grads = [grad for grad in given if grad is not None]
    total = math.hypot(*(float(torch.linalg.vector_norm(grad)) for grad in grads))
    if total > norm:
        for grad in grads:
            grad.mul_(norm / total)


def _ignore(_: object) -> None:
    """Hooks return nothing."""
