"""Rectifiers that let a little through on their closed side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import replaced


@INTERVENTIONS.register("leaky-activation")
@contextmanager
def leaky_activation(slope: float = 0.1) -> Iterator[None]:
    """Put a leaky ReLU in the place of every ReLU.

    Args:
        slope: on the closed side.
    """
    leaky = F.leaky_relu

    def make(_: Any) -> Any:
        def relu(input: Tensor, inplace: bool = False) -> Tensor:  # noqa: A002 - torch's name
            return leaky(input, slope, inplace)

        return relu

    with ExitStack() as stack:
        for owner in (F, torch, Tensor):
            stack.enter_context(replaced(owner, "relu", make))
        yield
