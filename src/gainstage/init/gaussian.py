"""What functions make of Gaussian elements of a tensor, many at a time, at a fixed number of nodes.

Unlike :mod:`gainstage.init.quadrature` this is for prediction, where 1e-4 is enough: each line is
cut at zero, where most activations have their kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gainstage.init.moments import Moments

_HALF: Final = 40
"""Nodes on either side of the kink at zero."""
_REACH: Final = 8.0
_CHUNK: Final = 1 << 16

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_HALF))
_NORMAL, _MASS = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(_HALF))


def gaussian(
    function: Callable[[Tensor], Tensor], mean: Tensor, std: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """E f, E f^2 and E f'^2 for N(mean, std^2), element by element: [m] each."""
    parts = [_integrated(function, m, s) for m, s in zip(_chunks(mean), _chunks(std), strict=True)]
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))  # type: ignore[return-value]


def _chunks(values: Tensor) -> tuple[Tensor, ...]:
    return torch.tensor_split(values, max(math.ceil(len(values) * _HALF / _CHUNK), 1))


def _integrated(
    function: Callable[[Tensor], Tensor], mean: Tensor, std: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    kink = (-mean / std.clamp_min(1e-300)).clamp(-_REACH + 0.1, _REACH - 0.1)
    sides = []
    for low, high in (
        (torch.full_like(kink, -_REACH), kink),
        (kink, torch.full_like(kink, _REACH)),
    ):
        width = (high - low)[:, None] / 2
        z = (low + high)[:, None] / 2 + width * _NODES
        density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        sides.append((z, density * _WEIGHTS * width))
    z, weight = (torch.cat(both, dim=1) for both in zip(*sides, strict=True))
    value, slope = with_slope(function, mean[:, None] + std[:, None] * z)
    weight = weight / weight.sum(1, keepdim=True)
    return ((value * weight).sum(1), (value**2 * weight).sum(1), (slope**2 * weight).sum(1))


def with_slope(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Values and derivatives of a function."""
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        value = function(at)
        slope = torch.zeros_like(x)
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), at)
    return value.detach(), slope


def of_pairs(
    function: Callable[[Tensor], Tensor], x: Moments, product: Tensor
) -> tuple[Tensor, Tensor]:
    """E f(a) f(b) and E f'(a) f'(b) for two elements of x whose product is `product` on average.

    Over x as a whole: one variance, one mean.

    Args:
        function: f.
        x: the elements.
        product: of pairs, of any shape.
    """
    centre = x.centre
    variance = (x.power - x.mean.square().mean()).clamp_min(0.0)
    if float(variance) == 0:
        value, slope = with_slope(function, centre.reshape(1))
        return (value[0] ** 2).expand_as(product), (slope[0] ** 2).expand_as(product)
    share = ((product - x.mean.square().mean()) / variance).clamp(0.0, 1.0).reshape(-1, 1)
    common = (centre + (variance * share).sqrt() * _NORMAL).reshape(-1)
    alone = (variance * (1 - share)).sqrt().expand(-1, len(_NORMAL)).reshape(-1)
    firsts = gaussian(function, common, alone)[0].view(-1, len(_NORMAL))
    slopes = gaussian(derivative(function), common, alone)[0].view(-1, len(_NORMAL))
    mass = _MASS / _MASS.sum()
    pair, slope_pair = ((v**2 * mass).sum(1).reshape(product.shape) for v in (firsts, slopes))
    return pair, slope_pair


def derivative(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The derivative of a function, as a function."""
    return lambda v: with_slope(function, v)[1]


def sensitivity(function: Callable[[Tensor], Tensor], mean: Tensor, std: Tensor) -> float:
    """D log(power out) / d log(power in): by how much the function passes on a change of level."""
    step = 0.02
    before, after = (
        float(gaussian(function, mean * factor, std * factor)[1]) for factor in (1.0, 1 + step)
    )
    return math.log(after / before) / (2 * math.log1p(step)) if before > 0 < after else 0.0
