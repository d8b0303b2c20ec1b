"""Training in training mode."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models


@INTERVENTIONS.register("train-mode")
def train_mode() -> AbstractContextManager[None]:
    """Call ``train()`` on an outermost module before a forward pass that records gradients."""
    return around_models(_train)


def _train(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    del inputs
    if torch.is_grad_enabled() and not module.training:
        module.train()
