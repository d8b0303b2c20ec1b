"""The optimisers of a training: what they own, and how long their step is waited for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from gainstage.probe.leaves import Leaves
from gainstage.probe.ranks import local
from gainstage.probe.recorder import Recorder

PATIENCE: Final = 16
"""Backwards without any step of an optimiser that exists, before each counts as a step."""

ACCUMULATION: Final = 512
"""Backwards that pile up gradients before the first step, before they count as steps too."""


class Steppers:
    """Knows the optimisers, and whether a training that has some is really stepped by them.

    A script may make an optimiser and update its parameters by hand all the same; or pile up
    gradients over many backwards before the first step.

    Attributes:
        seen: whether any of them ever stepped.
    """

    def __init__(self) -> None:
        self.seen = False
        self._optimizers: list[torch.optim.Optimizer] = []
        self._idle = 0
        self._piled = 0
        self._sizes: list[int] = []
        self._owned: set[int] = set()

    def add(self, optimizer: torch.optim.Optimizer) -> bool:
        """Learn of an optimiser; whether it is a new one."""
        if any(known is optimizer for known in self._optimizers):
            return False
        self._optimizers.append(optimizer)
        return True

    @property
    def names(self) -> list[str]:
        """Their classes."""
        return [type(optimizer).__name__ for optimizer in self._optimizers]

    def stepped(self) -> None:
        """One of them stepped."""
        self.seen = True
        self._idle = 0

    def owned(self) -> set[int]:
        """The ``id`` of each parameter that they step; none if they never do."""
        if self._idle > PATIENCE:
            return set()
        groups = [group["params"] for one in self._optimizers for group in one.param_groups]
        sizes = [len(group) for group in groups]
        if sizes != self._sizes:
            self._sizes = sizes
            self._owned = {id(parameter) for group in groups for parameter in group}
        return self._owned

    def idle(self) -> list[Tensor]:
        """Parameters that they hold and that have no gradient."""
        groups = (group["params"] for one in self._optimizers for group in one.param_groups)
        return [parameter for group in groups for parameter in group if parameter.grad is None]

    def trains(self, inputs: Sequence[Tensor]) -> bool:
        """Whether gradients with respect to `inputs` are for a step: not those of data."""
        owned = self.owned()
        leaf = all(t.is_leaf and t.requires_grad for t in inputs)
        return leaf and (not owned or any(id(t) in owned for t in inputs))

    def waited(self, leaves: Leaves, *, off: bool) -> tuple[bool, bool]:
        """A backward ended and no step followed.

        Args:
            leaves: of the training.
            off: steps cannot be seen any more.

        Returns:
            Whether it counts as a step by now, and whether that is so for the first time.
        """
        if not self._optimizers or off:
            return True, False
        if self.seen:
            return False, False
        if _accumulating(leaves) and self._idle < PATIENCE:
            self._piled += 1
            if self._piled < ACCUMULATION:
                return False, False
            self._idle = PATIENCE  # that many micro-batches are none
        self._idle += 1
        return self._idle > PATIENCE, self._idle == PATIENCE + 1

    def release(self) -> None:
        """Let go of them."""
        self._optimizers.clear()


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Those that an optimiser may change."""
    groups = optimizer.param_groups
    return [p for group in groups for p in group["params"] if p.requires_grad]


def record_rates(optimizer: torch.optim.Optimizer, recorder: Recorder) -> None:
    """Record what an optimiser's groups say of its step: rate of the first one, largest decay."""
    groups = optimizer.param_groups
    recorder.fold_run(lambda first, _: first, lr=_number(groups[0].get("lr")))
    for group in groups:
        recorder.fold_run(max, weight_decay=_number(group.get("weight_decay", 0.0)))


def _number(value: Any) -> float:
    """A number of a group's; NaN for anything else: the rate that Adafactor finds is None."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # the last of a tensor of several
        return math.nan


def _accumulating(leaves: Leaves) -> bool:
    """Whether gradients of earlier backwards are still there, to be added to."""
    grads = (leaf.grad for leaf in leaves.living()[:4])
    return any(grad is not None and bool(local(grad).any()) for grad in grads)


def has_closure(args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> bool:
    """Whether a step was given a closure, in which its gradients are made (and clipped).

    Args:
        args: the optimiser, and what ``step`` was called with.
        kwargs: likewise.

    Example:
        >>> has_closure((None, len), {}), has_closure((None,), {}), has_closure((), None)
        (True, False, False)
    """
    given = (kwargs or {}).get("closure", args[1] if len(args) > 1 else None)
    return given is not None
