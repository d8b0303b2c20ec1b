"""Rectifiers in the place of activations that saturate."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakSet

import torch.nn.functional as F
from torch import nn

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models


@INTERVENTIONS.register("rectify")
def rectify() -> AbstractContextManager[None]:
    """Let each ``nn.Sigmoid`` and ``nn.Tanh`` that feeds further layers be a ReLU.

    One that comes after the last layer makes the output, and stays.
    """
    seen: WeakSet[nn.Module] = WeakSet()

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        if root in seen:
            return
        seen.add(root)
        waiting: list[nn.Module] = []
        for module in root.modules():
            if isinstance(module, (nn.Sigmoid, nn.Tanh)):
                waiting.append(module)
            elif isinstance(getattr(module, "weight", None), nn.Parameter):
                for activation in waiting:
                    activation.forward = F.relu
                waiting = []

    return around_models(before)
