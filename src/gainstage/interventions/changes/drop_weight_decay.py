"""No weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    Function,
    after_backwards,
    during_steps,
    optimizers_made,
    replaced,
)


@INTERVENTIONS.register("drop-weight-decay")
@contextmanager
def drop_weight_decay(decay: float = 0.0, lr: float = 0.0) -> Iterator[None]:
    """Set each group's decay to zero while the optimiser steps.

    A training without an optimiser of torch updates its weights by hand. There the decay is taken
    off the gradients, to which the script adds it: after the first update, and of those weights
    that it has shrunk. The same to descent and momentum, whatever the rate is later.

    Args:
        decay: of updates by hand.
        lr: of the first of them.
    """
    by_hand = _ByHand(decay, lr)

    def grad(original: Function) -> Function:
        def wrapper(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            grads = original(outputs, inputs, *args, **kwargs)
            if not (made or kwargs.get("create_graph") or kwargs.get("is_grads_batched")):
                leaves = [inputs] if isinstance(inputs, Tensor) else inputs
                by_hand.lift(zip(leaves, grads, strict=True))
            return grads

        return wrapper

    def after(leaves: list[Tensor]) -> None:
        if not made:
            by_hand.lift((leaf, leaf.grad) for leaf in leaves)

    with (
        optimizers_made() as made,
        during_steps("weight_decay", lambda _: 0.0),
        after_backwards(after),
        replaced(torch.autograd, "grad", grad),
    ):
        yield


class _ByHand:
    """Takes the decay off the gradients of those weights that the script decays.

    Args:
        decay: what the script adds to a gradient, in weights; 0 leaves all as it is.
        lr: of the first update.
    """

    def __init__(self, decay: float, lr: float) -> None:
        self._decay = decay
        self._shrink = lr * decay
        self._first = WeakTensorKeyDictionary()  # weight to its gradient, until it is updated
        self._last = WeakTensorKeyDictionary()  # weight to what it was when it was lifted last
        self._begun = False

    @torch.no_grad()
    def lift(self, pairs: Iterable[tuple[Tensor, Tensor | None]]) -> None:
        """After a backward: weights with their gradients."""
        if not self._decay:
            return
        given = [(weight, grad) for weight, grad in pairs if grad is not None and weight.is_leaf]
        self._begun = self._begun or any(self._is_updated(weight) for weight, _ in given)
        for weight, grad in given:
            if not self._begun:
                self._first[weight], self._last[weight] = grad.clone(), weight.clone()
            elif self._is_updated(weight):  # else it is another pass of the same step
                if weight in self._first and not self._decays(weight):
                    del self._last[weight]
                    continue
                self._last[weight] = weight.clone()
                grad.sub_(weight, alpha=self._decay)

    def _is_updated(self, weight: Tensor) -> bool:
        return weight in self._last and not torch.equal(self._last[weight], weight)

    def _decays(self, weight: Tensor) -> bool:
        """Whether the first update is closer to a multiple of the gradient with decay in it."""
        before, grad = self._last[weight], self._first[weight]
        del self._first[weight]
        change = weight - before
        return _beside(change + self._shrink * before, grad) < _beside(change, grad)


def _beside(change: Tensor, grad: Tensor) -> float:
    """How long that part of a change is that is at right angles to the gradient."""
    a, g = change.double().flatten(), grad.double().flatten()
    along = (a * g).sum() / (g * g).sum().clamp_min(torch.finfo(g.dtype).tiny)
    return float((a - along * g).norm())
