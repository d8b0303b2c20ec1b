"""Through pooling and means: positions of a sample are alike, which is why a mean keeps a level."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.init.moments import Call, Moments, UnknownFormError, is_alike, propagates
from gainstage.init.propagation.elementwise import applied


@propagates("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(call: Call) -> Moments:
    """``F.avg_poolNd``: of n positions, what they share stays and the rest is divided by n."""
    x = call.signal(0, "input")
    size = call.argument(1, "kernel_size")
    options = {
        "stride": call.argument(2, "stride"),
        "padding": call.argument(3, "padding", 0),
        "ceil_mode": call.argument(4, "ceil_mode", default=False),
        "count_include_pad": call.argument(5, "count_include_pad", default=True),
    }
    n = math.prod(size) if isinstance(size, (tuple, list)) else size ** (len(x.shape) - 2)
    return _averaged(x, lambda v: call.function(v, size, **options), n)


@propagates("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_average_pool(call: Call) -> Moments:
    """``F.adaptive_avg_poolNd``."""
    x = call.signal(0, "input")
    size = call.argument(1, "output_size")
    n = max(math.prod(x.shape[2:]) // max(math.prod(call.shape[2:]), 1), 1)
    return _averaged(x, lambda v: call.function(v, size), n)


@propagates("mean")
def mean(call: Call) -> Moments:
    """``x.mean(dim)``: over positions, or over units, which are independent."""
    x = call.signal(0, "input")
    dim = call.argument(1, "dim")
    keep = call.argument(2, "keepdim", default=False)
    axes = (
        tuple(range(len(x.shape)))
        if dim is None
        else (dim if isinstance(dim, (tuple, list)) else (dim,))
    )
    n = math.prod(x.shape[a] for a in axes)

    def average(v: Tensor) -> Tensor:
        return v.mean(axes, keepdim=keep)

    if any(is_alike(x.second, a) for a in axes):
        inner = average(x.mean)
        rest = average(x.variance) / n
        flow = average(x.flow) / n
        share = flow.numel() / max(x.flow.numel(), 1)
        return x.but(
            mean=inner,
            second=inner**2 + rest,
            samples=inner.square().mean().expand_as(x.samples),
            positions=inner.square().mean(),
            flow=flow,
            flow_pair=x.flow_pair * share / n * share * n,
            crude=True,
        )
    return _averaged(x, average, n)


def _averaged(x: Moments, average: Any, n: int) -> Moments:
    """A mean over n positions."""
    level = average(x.second) / x.power if float(x.power) > 0 else average(x.second)
    second = average(x.second) / n + (1 - 1 / n) * x.positions * level
    alike = 1 / n + (1 - 1 / n) * (x.positions / x.power if float(x.power) > 0 else 0.0)
    flow = average(x.flow) / n
    share = flow.numel() / max(x.flow.numel(), 1)
    return x.but(
        mean=average(x.mean),
        second=second,
        samples=x.samples * alike,
        positions=x.positions,
        flow=flow,
        flow_pair=x.flow_pair * share / n,
        crude=True,
    )


@propagates("max_pool1d", "max_pool2d", "max_pool3d", "boolean_dispatch", "fn")
def max_pool(call: Call) -> Moments:
    """``F.max_poolNd``: the largest of n Gaussians that have their positions' mean covariance.

    Behind an activation the largest is taken before it, which is the same for one that rises.
    Crude: neighbours are more alike than positions are on average.
    """
    x = call.signal(0, "input")
    size = call.argument(1, "kernel_size")
    dims = len(x.shape) - 2
    if dims < 1 or (isinstance(size, (tuple, list)) and len(size) != dims):
        raise UnknownFormError  # one sample, without an axis for it
    n = math.prod(size) if isinstance(size, (tuple, list)) else size**dims
    pooled = _largest(x, call, n) if x.before is None else _largest(x.before[1], call, n)
    if x.before is not None:
        pooled = applied(x.before[0], pooled)
    flow = _pooled(x.flow, call)  # one of n gets the whole gradient: a share of 1/n each
    return pooled.but(
        flow=flow,
        flow_pair=x.flow_pair * flow.numel() / max(x.flow.numel(), 1),
        spread=x.spread,
        own_spread=x.own_spread,
        crude=True,
    )


def _largest(x: Moments, call: Call, n: int) -> Moments:
    first, second = _of_normals(n)
    variance = x.variance
    overall = variance.mean()
    alike = ((x.positions - x.mean.square().mean()) / overall.clamp_min(1e-300)).clamp(0.0, 1.0)
    alone = (1 - alike).sqrt()
    shift = alone * first
    factor = alike + alone**2 * (second - first**2)
    spread = _pooled(variance, call)
    mean = _pooled(x.mean, call) + spread.sqrt() * shift
    pairs = [
        mean.square().mean() + (pair - x.mean.square().mean()) * factor
        for pair in (x.samples, x.positions)
    ]
    return x.but(
        mean=mean,
        second=mean**2 + spread * factor,
        samples=pairs[0],
        positions=pairs[1],
        flow=_pooled(x.flow, call),
    )


def _pooled(v: Tensor, call: Call) -> Tensor:
    """The mean over each window."""
    size = call.argument(1, "kernel_size")
    stride = call.argument(2, "stride")
    padding = call.argument(3, "padding", 0)
    ceil = call.argument(5, "ceil_mode", default=False)
    plain = getattr(F, f"avg_pool{v.dim() - 2}d")
    pooled: Tensor = plain(v, size, stride, padding, ceil, count_include_pad=False)
    return pooled


def _of_normals(n: int) -> tuple[float, float]:
    """E M and E M^2 for the largest M of n standard normals."""
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    below = torch.special.ndtr(z) ** n
    mass = np.diff(below.numpy())
    middle = (z[1:] + z[:-1]).numpy() / 2
    return float((mass * middle).sum()), float((mass * middle**2).sum())
