"""A rate that no schedule lowers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import after_steps, before_steps


@INTERVENTIONS.register("hold-learning-rate")
@contextmanager
def hold_learning_rate() -> Iterator[None]:
    """Let each group step at the highest rate that it has had so far.

    So a warm-up stays as it is, and what lowers the rate afterwards does nothing, whether a
    scheduler does it or the script. Both see the rates that they have set.
    """
    highest: dict[tuple[int, int], Any] = {}
    kept: dict[int, list[Any]] = {}

    def before(optimizer: torch.optim.Optimizer) -> None:
        after(optimizer)  # a step that raised has not put them back
        groups = [group for group in optimizer.param_groups if "lr" in group]
        kept[id(optimizer)] = [group["lr"] for group in groups]
        for number, group in enumerate(groups):
            known = highest.get((id(optimizer), number), group["lr"])
            highest[id(optimizer), number] = group["lr"] = max(known, group["lr"])

    def after(optimizer: torch.optim.Optimizer) -> None:
        groups = [group for group in optimizer.param_groups if "lr" in group]
        for group, rate in zip(groups, kept.pop(id(optimizer), []), strict=False):
            group["lr"] = rate

    with before_steps(before), after_steps(after):
        yield
