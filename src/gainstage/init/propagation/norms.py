"""Through normalisations: they set the level, and divide the gradient by the one they met."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gainstage.init.moments import Call, Moments, UnknownFormError, alike, position_axes, propagates


@propagates("layer_norm")
def layer_norm(call: Call) -> Moments:
    """Mean and variance over the last axes, sample by sample."""
    x = call.signal(0, "input")
    shape = call.argument(1, "normalized_shape")
    axes = tuple(range(-len(shape), 0))
    units = 1
    for size in shape:
        units *= size
    mean = x.mean.mean(axes, keepdim=True)
    variance = x.second.mean(axes, keepdim=True) - mean**2
    variance = variance - x.variance.mean(axes, keepdim=True) / units
    affine = call.argument(2, "weight"), call.argument(3, "bias")
    return _normalised(x, mean, variance + call.argument(4, "eps", 1e-5), *affine)


@propagates("rms_norm")
def rms_norm(call: Call) -> Moments:
    """The second moment over the last axes, sample by sample."""
    x = call.signal(0, "input")
    axes = tuple(range(-len(call.argument(1, "normalized_shape")), 0))
    power = x.second.mean(axes, keepdim=True)
    eps = call.argument(3, "eps") or 1e-6
    return _normalised(x, torch.zeros_like(power), power + eps, call.argument(2, "weight"), None)


@propagates("batch_norm", "sync_batch_norm")
def batch_norm(call: Call) -> Moments:
    """Mean and variance of each channel, over the batch's samples and positions.

    What all samples have in common in a unit is taken out. Deep networks that were drawn at random
    make samples alike, so this enlarges what is left, and the gradient with it: by 1.21 a layer
    behind ReLUs, the gradient explosion of Yang et al. (2019). Samples differ in power mostly by
    what they share with the mean, so of that only the part that is left counts.
    """
    x = call.signal(0, "input")
    affine = call.argument(3, "weight"), call.argument(4, "bias")
    eps = call.argument(7, "eps", 1e-5)
    if not call.argument(5, "training", default=False):
        held = (call.argument(1, "running_mean"), call.argument(2, "running_var"))
        mean, variance = (_by_channel(values, x) for values in held)
        return _normalised(x, mean, variance + eps, *affine)
    n = call.samples
    spatial = bool(position_axes(x.second))
    other = x.samples.mean() * (x.positions / x.power if spatial else 1.0)
    common = other * (1 - 1 / n) + (x.positions if spatial else x.power) / n
    left = (x.power - common).clamp_min(0.0)
    inside = x.but(
        mean=alike(torch.zeros_like, x.mean),
        second=alike(lambda q: left * (1 + (q / x.power - 1) * left / x.power), x.second),
        samples=x.samples - common,
        positions=x.positions - common,
        flow_pair=x.flow_pair * 0.0,  # the mean of the gradient over the batch is taken out too
    )
    zero = torch.zeros((), dtype=torch.float64)
    return _normalised(inside, zero, left + eps, *affine)


@propagates("group_norm", "instance_norm")
def group_norm(call: Call) -> Moments:
    """Mean and variance over a group of channels and all positions, sample by sample."""
    x = call.signal(0, "input")
    axes = tuple(range(1, len(x.shape)))
    by_group = getattr(call.function, "__name__", "") == "group_norm"
    groups = call.argument(1, "num_groups") if by_group else x.shape[1]
    at = (2, 3, 4) if by_group else (3, 4, 7)
    mean = x.mean.mean(axes, keepdim=True)
    around = x.second.mean(axes, keepdim=True) - mean**2
    excess = (x.positions - x.mean.square().mean()).clamp_min(0.0) / (x.shape[1] // groups)
    kept = (1 - excess / around.clamp_min(1e-300)).clamp(0.0, 1.0)  # not the group's own mean
    affine = call.argument(at[0], "weight"), call.argument(at[1], "bias")
    inside = x.but(
        second=alike(lambda q, m, k: m**2 + (q - m**2) * k, x.second, mean, kept),
        samples=x.samples * kept.mean(),
        positions=x.positions - excess,
    )
    variance = around * kept
    return _normalised(inside, mean, variance + call.argument(at[2], "eps", 1e-5), *affine)


def _by_channel(values: Tensor, x: Moments) -> Tensor:
    shape = [1, -1] + [1] * (len(x.shape) - 2)
    return values.detach().double().cpu().view(shape)


def _normalised(
    x: Moments, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None
) -> Moments:
    """(x - mean) / sqrt(variance) * weight + bias."""
    gain, gain2 = _moments(weight, 1.0)
    shift, shift2 = _moments(bias, 0.0)
    inner = alike(lambda m, c, v: (m - c) / v.sqrt(), x.mean, mean, variance)
    power = alike(lambda q, m, c, v: (q - 2 * m * c + c**2) / v, x.second, x.mean, mean, variance)
    overall, centre = variance.mean(), mean.mean()
    pairs = [
        (pair - 2 * x.centre * centre + centre**2) / overall * gain2 + shift2
        for pair in (x.samples, x.positions)
    ]
    return x.but(
        mean=alike(lambda m: m * gain + shift, inner),
        second=alike(lambda q, m: q * gain2 + 2 * m * gain * shift + shift2, power, inner),
        samples=pairs[0],
        positions=pairs[1],
        flow=x.flow * (gain2 / variance).detach(),
        flow_pair=x.flow_pair * (gain2 / overall).detach(),
        spread=0.0,
        own_spread=0.0,
    )


def _moments(values: Tensor | None, default: float) -> tuple[Any, Any]:
    if values is None:
        return default, default**2
    if not isinstance(values, Tensor):
        raise UnknownFormError  # scales that depend on the input
    wide = values.detach().double().cpu()
    return wide.mean(), wide.square().mean()
