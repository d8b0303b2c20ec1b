"""A learning rate of one's own choice, whatever the script says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import before_steps, during_steps


@INTERVENTIONS.register("set-learning-rate")
@contextmanager
def set_learning_rate(rate: float) -> Iterator[None]:
    """Let every optimiser begin at a rate.

    The first parameter group has it; other groups, and what a schedule makes of them, keep their
    proportion to it. An optimiser without a rate is left alone.

    Args:
        rate: that the first group begins at, or that its scheduler works from.
    """
    factors: WeakKeyDictionary[torch.optim.Optimizer, float] = WeakKeyDictionary()
    factor = 1.0

    def note(optimizer: torch.optim.Optimizer) -> None:
        nonlocal factor
        if optimizer not in factors:
            first = optimizer.param_groups[0]
            begins = float(first.get("initial_lr", first.get("lr", 0.0)))
            factors[optimizer] = rate / begins if begins else 1.0
        factor = factors[optimizer]

    with before_steps(note), during_steps("lr", lambda value: value * factor):
        yield
