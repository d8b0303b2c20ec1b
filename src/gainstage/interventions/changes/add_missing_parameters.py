"""What gets a gradient is stepped."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules import module as global_module

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import before_steps, optimizers_made, parameters_of


@INTERVENTIONS.register("add-missing-parameters")
@contextmanager
def add_missing_parameters() -> Iterator[None]:
    """At each optimiser's first step, let it have the parameters that have a gradient but no owner.

    Only parameters of modules that were called, whether another module lists them or not: what
    was frozen on purpose has no gradient.
    """
    models: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    stepped: set[int] = set()

    def complete(optimizer: torch.optim.Optimizer) -> None:
        if id(optimizer) in stepped:
            return
        stepped.add(id(optimizer))
        owned = {id(p) for one in optimizers for p in parameters_of(one)}
        parameters = (p for model in models for p in model.parameters())
        found = {id(p): p for p in parameters if p.grad is not None}
        missing = [p for key, p in found.items() if key not in owned]
        if missing:
            # to a group that is there: a scheduler counts them
            optimizer.param_groups[-1]["params"].extend(missing)

    called = global_module.register_module_forward_pre_hook(lambda one, _: models.add(one))
    try:
        with optimizers_made() as optimizers, before_steps(complete):
            yield
    finally:
        called.remove()
