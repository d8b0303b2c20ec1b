"""The networks of the experiments."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from typing import Final

import torch
from torch import Tensor, nn

WIDTHS: Final = (784, 512, 256, 256, 128, 10)
"""Of the deep MLP: 633,226 parameters."""


class DeepMLP(nn.Module):
    """Linear layers with an activation between them.

    Args:
        activation: makes one.
        widths: from the input's to the output's.

    Example:
        >>> sum(p.numel() for p in DeepMLP().parameters())
        633226
    """

    def __init__(
        self, activation: Callable[[], nn.Module] = nn.ReLU, widths: tuple[int, ...] = WIDTHS
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), activation()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Scores [n, classes] of inputs [n, ...]."""
        scores: Tensor = self.layers(x.flatten(1))
        return scores


def draw_kaiming_(model: DeepMLP, generator: torch.Generator) -> None:
    """Kaiming's normal weights for rectified units, and biases of zero.

    The first layer's input was not rectified: its variance is 1 / fan_in, that of the others 2.

    Args:
        model: is changed.
        generator: draws the weights.
    """
    first = True
    with torch.no_grad():
        for layer in model.layers:
            if isinstance(layer, nn.Linear):
                variance = (1 if first else 2) / layer.in_features
                layer.weight.normal_(0, sqrt(variance), generator=generator)
                layer.bias.zero_()
                first = False
