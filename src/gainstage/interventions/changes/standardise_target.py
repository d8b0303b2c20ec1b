"""Targets of a regression with mean zero and standard deviation one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import DISTANCES, Function, replaced
from gainstage.interventions.standardising import Scale


@INTERVENTIONS.register("standardise-target")
@contextmanager
def standardise_target() -> Iterator[None]:
    """Standardise what a distance is taken to, by the first batches; one scale for all losses."""
    scale = Scale()
    inside = False

    def make(loss: Function) -> Function:
        def wrapper(input: Any, target: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
            nonlocal inside
            numbers = isinstance(target, Tensor) and target.is_floating_point() and target.dim()
            if inside or not numbers:  # under a function mode, torch calls itself by its new name
                return loss(input, target, *args, **kwargs)
            inside = True
            try:
                columns = target.reshape(len(target), -1)
                return loss(input, scale(columns).reshape(target.shape), *args, **kwargs)
            finally:
                inside = False

        return wrapper

    with ExitStack() as stack:
        for name in DISTANCES:
            stack.enter_context(replaced(F, name, make))
        yield
