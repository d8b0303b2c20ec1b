"""What enters tanh and sigmoid at a scale at which they do not saturate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    Function,
    around_models,
    replaced,
    weighted_backwards,
)


@INTERVENTIONS.register("temper-activations")
@contextmanager
def temper_activations(most: float = 1.0) -> Iterator[None]:
    """Divide the input of each tanh and sigmoid by a number, so that it begins with a bounded rms.

    Each call in a forward pass has its own number, which the first pass that learns sets for good:
    the same as smaller weights before it. Calls are told apart by their order.

    Args:
        most: rms that is let through.
    """
    place, calls = 0, 0
    factors: dict[tuple[int, int], float] = {}

    def begin(model: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal place, calls
        del inputs
        place, calls = id(model), 0

    def end(roots: list[Tensor]) -> float:
        nonlocal place, calls
        del roots
        place, calls = 0, 0
        return 1.0

    def make(function: Function) -> Function:
        def wrapper(x: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if not (isinstance(x, Tensor) and x.is_floating_point()):
                return function(x, *args, **kwargs)
            key, calls = (place, calls), calls + 1
            if key not in factors and x.requires_grad:
                rms = float(x.detach().float().square().mean().sqrt())
                factors[key] = most / rms if rms > most else 1.0
            factor = factors.get(key, 1.0)
            return function(x if factor == 1.0 else x * factor, *args, **kwargs)

        return wrapper

    with ExitStack() as stack:
        for owner in (torch, Tensor, F):
            for name in ("tanh", "sigmoid"):
                stack.enter_context(replaced(owner, name, make))
        stack.enter_context(around_models(begin))
        stack.enter_context(weighted_backwards(end))
        yield
