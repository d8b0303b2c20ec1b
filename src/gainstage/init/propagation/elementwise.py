"""Through functions of one variable (by quadrature), sums and products of signals, dropout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.init.gaussian import gaussian, of_pairs, sensitivity
from gainstage.init.moments import (
    Call,
    Moments,
    UnknownFormError,
    alike,
    constant_of,
    core,
    propagates,
)
from gainstage.init.vocabulary import UNARY


@propagates(*UNARY)
def unary(call: Call) -> Moments:
    """Any function of one variable: E f, E f^2 and E f'^2 over the Gaussian that comes in."""
    x = call.signal(0, "input")
    return applied(function_of(call), x)


def function_of(call: Call) -> Callable[[Tensor], Tensor]:
    """The function of one variable that a call applies to its first argument."""
    rest, kwargs = call.args[1:], dict(call.kwargs)
    kwargs.pop("input", None)
    if call.function in (F.prelu, torch.prelu):
        slope = call.weight(1, "weight").detach().double()
        rms = float(slope.square().mean().sqrt()) * math.copysign(1, float(slope.mean()))
        return lambda v: F.leaky_relu(v, rms)
    if not all(map(_is_number, (*rest, *kwargs.values()))):
        raise UnknownFormError  # another function for each element
    return lambda v: call.function(v.clone(), *rest, **kwargs)


def _is_number(value: Any) -> bool:
    return not isinstance(value, (Moments, Tensor)) or (
        isinstance(value, Tensor) and value.numel() == 1
    )


def applied(function: Callable[[Tensor], Tensor], x: Moments) -> Moments:
    """A function applied to every element of x."""
    mean, std = core(x.mean), core(x.variance).sqrt()
    mean, std = mean + 0 * std, std + 0 * mean
    first, second, slope = gaussian(function, mean.reshape(-1), std.reshape(-1))
    shape = x.second.shape
    width = [a.reshape(mean.shape).expand(shape) for a in (first, second, slope)]
    one, overall = width[0], width[1].mean()
    samples, slopes = of_pairs(function, x, x.samples)
    alone = float(x.positions) >= float(x.power)  # there are no positions
    positions = overall if alone else of_pairs(function, x, x.positions)[0]
    power, spread, own = float(overall), 0.0, 0.0
    if power > 0:
        typical = x.centre.reshape(1), (x.power - x.centre**2).clamp_min(0.0).sqrt().reshape(1)
        fourth = float(gaussian(lambda v: function(v) ** 2, *typical)[1])
        own = max(fourth / power / power - 1, 0.0) * x.own_spread / 2
        spread = x.spread * sensitivity(function, *typical) ** 2
    return x.but(
        mean=one,
        second=width[1],
        samples=samples,
        positions=positions,
        flow=width[2] * x.flow,
        flow_pair=slopes * x.flow_pair,
        spread=spread,
        own_spread=own,
        before=(function, x),
    )


@propagates("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout")
def dropout(call: Call) -> Moments:
    """Zeroes a share p and divides the rest by 1 - p: its second moment grows by 1/(1 - p)."""
    x = call.signal(0, "input")
    p = float(call.argument(1, "p", 0.5))
    if not call.argument(2, "training", default=True) or p >= 1:
        return x.but() if p < 1 else _times(x, 0.0)
    return x.but(second=alike(lambda q: q / (1 - p), x.second), flow=x.flow / (1 - p))


@propagates("add", "iadd", "radd")
def add(call: Call) -> Moments:
    """A sum: of independent signals (a residual branch and its stream), or with a constant.

    Crude where the two are not independent: x + relu(x). That they are so on average does not
    mean that their product is zero: of n units it has a variance of 4 s (1 - s) / n, s the share of
    one in the sum, by which residual streams differ from seed to seed.
    """
    a, b = call.operands()
    return _sum(a, _scaled(b, call.kwargs.get("alpha", 1)))


@propagates("sub", "isub", "rsub")
def subtract(call: Call) -> Moments:
    """A difference."""
    a, b = call.operands()
    if call.function in (torch.rsub, torch.Tensor.__rsub__):
        a, b = b, a
    return _sum(a, _scaled(b, -call.kwargs.get("alpha", 1)))


def _scaled(value: Any, factor: float) -> Any:
    if factor == 1:
        return value
    return _times(value, factor) if isinstance(value, Moments) else value * factor


def _sum(a: Any, b: Any) -> Moments:
    if not isinstance(a, Moments):
        return _plus_constant(b, a)
    if not isinstance(b, Moments):
        return _plus_constant(a, b)
    if a is b:
        return _times(a, 2.0)
    mean, share = alike(torch.add, a.mean, b.mean), 0.0
    second = alike(lambda p, q, m, n: p + q + 2 * m * n, a.second, b.second, a.mean, b.mean)
    if float(second.mean()) > 0:
        share = float(b.power / second.mean())
    cross = 2 * a.centre * b.centre
    both = [
        (1 - share) ** 2 * one + share**2 * two
        for one, two in ((a.spread, b.spread), (a.own_spread, b.own_spread))
    ]
    return a.but(
        mean=mean,
        second=second,
        samples=a.samples + b.samples + cross,
        positions=a.positions + b.positions + cross,
        flow=a.flow + b.flow,
        flow_pair=a.flow_pair + b.flow_pair,
        spread=both[0] + 2 * share * (1 - share) * max(a.own_spread, b.own_spread),
        own_spread=both[1],
        crude=a.crude or b.crude,
    )


def _plus_constant(a: Moments, b: Any) -> Moments:
    if isinstance(b, Tensor) and not bool(torch.isfinite(b).all()):
        kept = torch.isfinite(b).double().cpu()  # an attention mask of zeros and -inf
        return a.but(kept=kept)
    c, c2 = constant_of(b)
    c_mean, c2_mean = (float(v.mean()) if isinstance(v, Tensor) else float(v) for v in (c, c2))
    one = not isinstance(c, Tensor) or c.numel() == 1
    shift = 2 * a.centre * c_mean + c2_mean
    flow = a.flow + torch.zeros_like(c) if isinstance(c, Tensor) else a.flow
    return a.but(
        mean=alike(lambda m: m + c, a.mean) if one else a.mean + c,
        second=(
            alike(lambda q, m: q + 2 * m * c + c2, a.second, a.mean)
            if one
            else a.second + 2 * a.mean * c + c2
        ),
        samples=a.samples + shift,
        positions=a.positions + shift,
        flow=flow,
    )


@propagates("mul", "imul", "rmul", "multiply")
def multiply(call: Call) -> Moments:
    """A product of two signals (a gate), as if independent, or with a constant."""
    one, two = call.operands()
    if isinstance(one, Moments) and isinstance(two, Moments):
        return gated(one, two)
    return _times(one, two) if isinstance(one, Moments) else _times(two, one)


def gated(a: Moments, b: Moments) -> Moments:
    """The product of two independent signals."""
    flow = a.flow * b.second.detach() + b.flow * a.second.detach()
    return a.but(
        mean=alike(torch.mul, a.mean, b.mean),
        second=alike(torch.mul, a.second, b.second),
        samples=a.samples * b.samples,
        positions=a.positions * b.positions,
        flow=flow,
        flow_pair=a.flow_pair * b.samples.detach() + b.flow_pair * a.samples.detach(),
        spread=a.spread + b.spread,
        own_spread=a.own_spread + b.own_spread,
        crude=a.crude or b.crude,
    )


@propagates("div", "truediv", "itruediv", "true_divide")
def divide(call: Call) -> Moments:
    """Over a constant."""
    a, b = call.operands()
    if not isinstance(a, Moments) or isinstance(b, Moments):
        raise UnknownFormError
    return _times(a, 1 / (b.detach().double().cpu() if isinstance(b, Tensor) else b))


def _times(a: Moments, factor: Any) -> Moments:
    c, c2 = constant_of(factor)
    power = float(c2.mean()) if isinstance(c2, Tensor) else float(c2)
    one = not isinstance(c, Tensor) or c.numel() == 1
    return a.but(
        mean=alike(lambda m: m * c, a.mean) if one else a.mean * c,
        second=alike(lambda q: q * c2, a.second) if one else a.second * c2,
        samples=a.samples * power,
        positions=a.positions * power,
        flow=a.flow * c2,
        flow_pair=a.flow_pair * power,
    )


@propagates("glu")
def glu(call: Call) -> Moments:
    """``F.glu``: one half times the sigmoid of the other."""
    x = call.signal(0, "input")
    axis = call.argument(1, "dim", -1)
    half = x.shape[axis] // 2
    a = x.shaped(lambda v: v.narrow(axis, 0, half))
    gate = x.shaped(lambda v: v.narrow(axis, half, half))
    return gated(a, applied(torch.sigmoid, gate))
