"""Gradients of at most a given norm."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import before_steps, parameters_of


@INTERVENTIONS.register("clip-gradients")
def clip_gradients(norm: float) -> AbstractContextManager[None]:
    """Clip the norm of all gradients of an optimiser together, before each of its steps.

    Args:
        norm: the largest that is let through.
    """
    clip = torch.nn.utils.clip_grad_norm_
    return before_steps(lambda one: _ignore(clip(parameters_of(one), norm)))


def _ignore(_: object) -> None:
    """Hooks return nothing."""
