"""A little noise on all weights: a change that stands for any change whatever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    optimizers_made,
    own_randomness,
    trained,
    weighted_backwards,
)
from gainstage.probe import graph


@INTERVENTIONS.register("disturb-weights")
@contextmanager
def disturb_weights(share: float = 0.1) -> Iterator[None]:
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
            for leaf in trained(graph.leaves(roots), made):
                if leaf.is_floating_point():
                    size = leaf.float().square().mean().sqrt().to(leaf.dtype)
                    leaf.data.add_(torch.randn_like(leaf) * (share * size))
        return 0.0

    with optimizers_made() as made, weighted_backwards(weigh):
        yield
