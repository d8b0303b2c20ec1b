"""Shapes that a training meets: ravines of very different slopes, steep and narrow optima."""

from __future__ import annotations

from math import inf, pi

import torch
from torch import Tensor

from gainstage.landscape.surface import surface

LECTURE = "Lippe, UvA Deep Learning Tutorials, tutorial 4 (optimization and initialization), 2022"


@surface(
    "pathological-curvature",
    domain=((-5.0, 5.0), (-10.0, 6.0)),
    optima=[(0.0, -inf)],
    source=LECTURE,
    axes=("w1", "w2"),
)
def pathological_curvature(w1: Tensor, w2: Tensor) -> Tensor:
    """A ravine that is steep in one direction and nearly flat in the other."""
    return torch.tanh(w1) ** 2 + 0.01 * torch.abs(w1) + torch.sigmoid(w2)


@surface(
    "steep-optima",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    optima=[(-0.5, -0.8)],
    source=LECTURE,
    axes=("w1", "w2"),
)
def steep_optima(w1: Tensor, w2: Tensor) -> Tensor:
    """A plain with three narrow holes: minus three normal densities of standard deviation 0.2."""
    centres = ((1.0, -0.5), (-1.0, 0.5), (-0.5, -0.8))
    holes = [torch.exp(-((w1 - x) ** 2 + (w2 - y) ** 2) / (2 * 0.2**2)) for x, y in centres]
    return -sum(holes, torch.zeros_like(w1)) / (2 * pi * 0.2**2)
