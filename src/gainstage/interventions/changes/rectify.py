"""Rectifiers in the place of activations that saturate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gainstage.interventions.hidden import hidden_activations
from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models


@INTERVENTIONS.register("rectify")
@contextmanager
def rectify() -> Iterator[None]:
    """Let each sigmoid and tanh that feeds further layers be a ReLU.

    One that comes after the last layer makes the output, and stays. Which of the functional ones
    do is learnt from the first pass, so there they are as the script has them.
    """
    seen: WeakSet[nn.Module] = WeakSet()
    names = ("tanh", "sigmoid")  # those of torch.nn.functional call the tensor's

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        if root not in seen:
            seen.add(root)
            _rectify_modules(root)

    with (
        around_models(before),
        hidden_activations({torch: names, Tensor: names}, lambda _, x: F.relu(x)),
    ):
        yield


def _rectify_modules(root: nn.Module) -> None:
    waiting: list[nn.Module] = []
    for module in root.modules():
        if isinstance(module, (nn.Sigmoid, nn.Tanh)):
            waiting.append(module)
        elif isinstance(getattr(module, "weight", None), nn.Parameter):
            for activation in waiting:
                activation.forward = F.relu
            waiting = []
