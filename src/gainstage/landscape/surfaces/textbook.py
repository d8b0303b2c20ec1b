"""The test functions of optimisation textbooks."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from gainstage.landscape.surface import surface


@surface(
    "rosenbrock",
    domain=((-2.0, 2.0), (-1.0, 3.0)),
    optima=[(1.0, 1.0)],
    source="Rosenbrock, The Computer Journal 3 (3), 1960",
)
def rosenbrock(x: Tensor, y: Tensor) -> Tensor:
    """A bent valley: easy to enter, slow to follow."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


@surface(
    "beale",
    domain=((-4.5, 4.5), (-4.5, 4.5)),
    optima=[(3.0, 0.5)],
    source="Beale, On an iterative method for finding a local minimum, Princeton 1958",
)
def beale(x: Tensor, y: Tensor) -> Tensor:
    """Flat in the middle, walls at the corners."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


@surface(
    "himmelblau",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    optima=[(3.0, 2.0), (-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127)],
    source="Himmelblau, Applied Nonlinear Programming, 1972",
)
def himmelblau(x: Tensor, y: Tensor) -> Tensor:
    """Four optima of equal depth."""
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


@surface(
    "rastrigin",
    domain=((-5.12, 5.12), (-5.12, 5.12)),
    optima=[(0.0, 0.0)],
    source="Rastrigin, Systems of Extremal Control, 1974",
)
def rastrigin(x: Tensor, y: Tensor) -> Tensor:
    """A bowl full of ripples, each with an optimum of its own."""
    ripples = torch.cos(2 * pi * x) + torch.cos(2 * pi * y)
    return 20 + x**2 + y**2 - 10 * ripples


@surface(
    "styblinski-tang",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    optima=[(-2.903534, -2.903534)],
    source="Styblinski, Tang, Neural Networks 3 (4), 1990",
)
def styblinski_tang(x: Tensor, y: Tensor) -> Tensor:
    """Four hollows, one of them deepest."""
    return sum((t**4 - 16 * t**2 + 5 * t for t in (x, y)), torch.zeros_like(x)) / 2


@surface(
    "saddle",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    optima=[(0.0, -1.0), (0.0, 1.0)],
    source="the normal form x^2 - y^2, bounded by y^4 / 2",
)
def saddle(x: Tensor, y: Tensor) -> Tensor:
    """A pass between two optima; on its ridge the gradient leads to the pass and stops there."""
    return x**2 - y**2 + y**4 / 2


@surface(
    "ill-conditioned-quadratic",
    domain=((-10.0, 10.0), (-3.0, 3.0)),
    optima=[(0.0, 0.0)],
    source="condition number 100; Goh, Why Momentum Really Works, Distill 2017",
)
def ill_conditioned_quadratic(x: Tensor, y: Tensor) -> Tensor:
    """A long bowl: curvature 1 along it and 100 across."""
    return (x**2 + 100 * y**2) / 2
