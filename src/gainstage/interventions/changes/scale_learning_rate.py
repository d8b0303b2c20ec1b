"""Longer or shorter steps: every learning rate times a factor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import during_steps, replaced, weighted_backwards


@INTERVENTIONS.register("scale-learning-rate")
@contextmanager
def scale_learning_rate(factor: float) -> Iterator[None]:
    """Multiply each group's rate while the optimiser steps, so schedulers keep their course.

    A training without an optimiser of torch updates its weights by hand, and nobody else knows
    its rate: there the gradients are multiplied, which is the same to descent and momentum.

    Args:
        factor: what the rate is multiplied by.
    """
    made = False

    def init(original: Any) -> Any:
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            nonlocal made
            made = True
            original(self, *args, **kwargs)

        return wrapper

    with (
        replaced(torch.optim.Optimizer, "__init__", init),
        during_steps("lr", lambda rate: rate * factor),
        weighted_backwards(lambda _: 1.0 if made else factor),
    ):
        yield
