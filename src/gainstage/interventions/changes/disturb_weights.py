"""A little noise on all weights: a change that stands for any change whatever."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import own_randomness, weighted_backwards
from gainstage.probe import graph


@INTERVENTIONS.register("disturb-weights")
def disturb_weights(share: float = 0.1) -> AbstractContextManager[None]:
    """Add noise to everything that the first backward pass reaches, with or without an optimiser.

    That pass's gradients are those of the weights as they were, and are set to zero. The script's
    random numbers are left as they are.

    Args:
        share: standard deviation of the noise over the rms of the tensor that it is added to.
    """
    begun = False

    def weigh(roots: list[Tensor]) -> float:
        nonlocal begun
        if begun:
            return 1.0
        begun = True
        with own_randomness(), torch.no_grad():
            for leaf in graph.leaves(roots):
                if leaf.is_floating_point():
                    size = leaf.float().square().mean().sqrt().to(leaf.dtype)
                    leaf.data.add_(torch.randn_like(leaf) * (share * size))
        return 0.0

    return weighted_backwards(weigh)
