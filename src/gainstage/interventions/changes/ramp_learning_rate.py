"""A learning rate that rises from step to step: the range test of Smith (2017, section 3.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Group, after_steps, before_steps


@INTERVENTIONS.register("ramp-learning-rate")
@contextmanager
def ramp_learning_rate(low: float, high: float, steps: int) -> Iterator[None]:
    """Raise the rate of every optimiser from `low` to `high`, by the same factor at each step.

    The first parameter group has it, others keep their proportion to it; a schedule of the
    script's is not heeded.

    Args:
        low: rate of the first step.
        high: rate of the last one, and of all after it.
        steps: how many.
    """
    taken: Counter[int] = Counter()
    kept: list[tuple[Group, object]] = []

    def before(optimizer: torch.optim.Optimizer) -> None:
        after(optimizer)  # a step that raised has not put them back
        groups = [group for group in optimizer.param_groups if "lr" in group]
        share = min(taken[id(optimizer)] / max(steps - 1, 1), 1.0)
        taken[id(optimizer)] += 1
        begins = [float(group.get("initial_lr", group["lr"])) for group in groups]
        kept.extend((group, group["lr"]) for group in groups)
        for group, first in zip(groups, begins, strict=True):
            part = first / begins[0] if begins[0] else 1.0
            group["lr"] = low * (high / low) ** share * part

    def after(_: torch.optim.Optimizer) -> None:
        for group, rate in kept:
            group["lr"] = rate
        kept.clear()

    with before_steps(before), after_steps(after):
        yield
