"""Through layers with weights: sums of many independent terms.

Exact for independent weights of zero mean. Where the weights have a mean, what all units of a
sample have in common is added up coherently, which makes constant weights exact too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.init.moments import BINS, Call, Moments, UnknownFormError, no_flow, propagates


@propagates("linear", "addmm")
def linear(call: Call) -> Moments:
    """``F.linear(x, weight, bias)``."""
    if call.function is torch.addmm:
        bias, x, weight = call.argument(0, "input"), call.signal(1, "mat1"), call.weight(2, "mat2")
        if isinstance(bias, Moments) or call.kwargs.keys() & {"alpha", "beta"}:
            raise UnknownFormError
        return product(x, weight, bias, int(weight.shape[-1]))
    x, weight = call.signal(0, "input"), call.weight(1, "weight")
    return product(x, weight, call.argument(2, "bias"), int(weight.shape[0]))


def product(x: Moments, weight: Tensor, bias: Tensor | None, out: int) -> Moments:
    """A layer's output [..., out] for x [..., in]."""

    def total(values: Tensor) -> Tensor:
        return values.sum(-1, keepdim=True)

    return _summed(x, weight, bias, total, lambda y: y.expand(*y.shape[:-1], out), out)


@propagates("conv1d", "conv2d", "conv3d")
def convolution(call: Call) -> Moments:
    """``F.convNd``: at the border the kernel adds up fewer terms, position by position."""
    x, weight = call.signal(0, "input"), call.weight(1, "weight")
    groups = call.argument(6, "groups", 1)
    ones = torch.ones(groups, *weight.shape[1:], dtype=torch.float64)
    options = {
        name: call.argument(at, name, default)
        for at, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    }
    plain = getattr(F, f"conv{weight.dim() - 2}d")
    return _filtered(call, x, weight, groups, lambda v: plain(v, ones, groups=groups, **options))


@propagates("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed(call: Call) -> Moments:
    """``F.conv_transposeNd``."""
    x, weight = call.signal(0, "input"), call.weight(1, "weight")
    groups = call.argument(6, "groups", 1)
    ones = torch.ones(weight.shape[0], 1, *weight.shape[2:], dtype=torch.float64)
    names = ((3, "stride", 1), (4, "padding", 0), (5, "output_padding", 0), (7, "dilation", 1))
    options = {name: call.argument(at, name, default) for at, name, default in names}
    plain = getattr(F, f"conv_transpose{weight.dim() - 2}d")
    return _filtered(call, x, weight, groups, lambda v: plain(v, ones, groups=groups, **options))


def _filtered(
    call: Call, x: Moments, weight: Tensor, groups: int, total: Callable[[Tensor], Tensor]
) -> Moments:
    out = call.shape[1]

    def widen(y: Tensor) -> Tensor:
        if groups == 1:
            return y.expand(y.shape[0], out, *y.shape[2:])
        return y.repeat_interleave(out // groups, dim=1)

    return _summed(x, weight, call.argument(2, "bias"), total, widen, out)


def _summed(
    x: Moments,
    weight: Tensor,
    bias: Tensor | None,
    total: Callable[[Tensor], Tensor],
    widen: Callable[[Tensor], Tensor],
    out: int,
) -> Moments:
    """Sums of weighted terms.

    Args:
        x: the terms.
        weight: their weights.
        bias: added to each sum, or None; a constant.
        total: adds up terms as the layer does, each with weight 1.
        widen: expands that to the units of the output.
        out: number of units.
    """
    if bias is not None and not isinstance(bias, Tensor):
        raise UnknownFormError  # one that depends on the input
    wide = weight.detach().double()
    m, v = float(wide.mean()), float(wide.var(correction=0))
    b = 0.0 if bias is None else float(bias.detach().double().mean())
    b2 = 0.0 if bias is None else float(bias.detach().double().square().mean())
    sums, powers = total(x.mean), total(x.second)
    common = sums**2 + total(x.variance)
    mean = m * sums + b
    second = v * powers + m * m * common + 2 * m * b * sums + b2
    terms = float(powers.mean() / x.power) if float(x.power) > 0 else 1.0
    coherent = float((mean**2).mean()) - b * b + b2
    from_signal = max(1 - b2 / float(second.mean()), 0.0) if float(second.mean()) > 0 else 1.0
    flow = (v + m * m) * widen(total(x.flow))
    fan_out = terms * flow.numel() / max(x.flow.numel(), 1)
    return x.but(
        mean=widen(mean),
        second=widen(second),
        samples=v * terms * x.samples + coherent,
        positions=v * terms * x.positions + coherent,
        flow=flow,
        flow_pair=(v + m * m) * fan_out * x.flow_pair,
        spread=(x.spread + x.own_spread) * from_signal**2,  # biases are the same for every signal
        own_spread=2 / out,
    )


@propagates("bilinear")
def bilinear(call: Call) -> Moments:
    """``F.bilinear(a, b, weight, bias)``: a product of two inputs, then a layer."""
    a, b = call.signal(0, "input1"), call.signal(1, "input2")
    weight = call.weight(2, "weight")
    pair = a.second.sum(-1, keepdim=True) * b.second.sum(-1, keepdim=True)
    v = float(weight.detach().double().square().mean())
    bias = call.argument(3, "bias")
    b2 = 0.0 if bias is None else float(bias.detach().double().square().mean())
    out = weight.shape[0]
    width = (*pair.shape[:-1], out)
    flow = a.flow.sum(-1, keepdim=True) * b.second.sum(-1, keepdim=True).detach()
    flow = flow + b.flow.sum(-1, keepdim=True) * a.second.sum(-1, keepdim=True).detach()
    return a.but(
        mean=torch.zeros_like(pair).expand(width),
        second=(v * pair + b2).expand(width),
        samples=v * weight[0].numel() * a.samples * b.samples + b2,
        positions=v * weight[0].numel() * a.positions * b.positions + b2,
        flow=(v * flow).expand(width),
        spread=a.spread + b.spread + a.own_spread + b.own_spread,
        own_spread=2 / out,
        crude=True,
    )


@propagates("embedding")
def embedding(call: Call) -> Moments:
    """``F.embedding(rows, weight)``: two places share a row as often as they name the same."""
    rows, weight = call.signal(0, "input"), call.weight(1, "weight")
    wide = weight.detach().double()
    v, m = float(wide.square().mean()), float(wide.mean())
    index = rows.mean  # token numbers, kept as they are
    counts = torch.unique(index, return_counts=True)[1]
    n = index.numel()
    same = float((counts * (counts - 1)).sum() / max(n * (n - 1), 1))
    width = (*index.shape, weight.shape[1])
    alike = torch.tensor(v * same + m * m * (1 - same), dtype=torch.float64)
    grid = torch.ones_like(index).unsqueeze(-1)
    return Moments(
        mean=(m * grid).expand(width),
        second=(v * grid).expand(width),
        samples=alike.expand(BINS),
        positions=alike,
        flow=no_flow(width),
        flow_pair=no_flow((BINS,)),
        own_spread=2 / weight.shape[1],
    )


@propagates("matmul", "mm", "bmm", "rmatmul")
def matmul(call: Call) -> Moments:
    """A product by hand: with a weight, or of two signals (attention)."""
    a, b = call.operands()
    if call.function is torch.Tensor.__rmatmul__:
        a, b = b, a
    if isinstance(a, Moments) and isinstance(b, Tensor) and b.dim() == 2:
        return product(a, b, None, b.shape[-1])
    if isinstance(a, Moments) and isinstance(b, Moments):
        return _of_signals(a, b)
    raise UnknownFormError


def _of_signals(a: Moments, b: Moments) -> Moments:
    """[.., n, k] times [.., k, m]; what b's positions have in common counts where a has a mean."""
    mean = a.mean @ b.mean
    second = a.second @ b.second + mean**2 - a.mean**2 @ b.mean**2
    weights = a.mean.sum(-1, keepdim=True) ** 2 - (a.mean**2).sum(-1, keepdim=True)
    extra = (b.positions - b.centre**2).clamp_min(0.0)
    second = second + weights.clamp_min(0.0) * extra
    flow = a.flow @ b.second.detach() + a.second.detach() @ b.flow
    k = a.shape[-1]
    return a.but(
        mean=mean,
        second=second,
        samples=k * a.samples * b.samples,
        positions=torch.minimum(second.mean(), weights.mean() * extra + mean.square().mean()),
        flow=flow,
        flow_pair=a.flow_pair + b.flow_pair,
        spread=a.spread + b.spread,
        own_spread=0.0,
        crude=True,
    )
