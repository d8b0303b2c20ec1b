"""Through attention: crude, as the pages say.

Scores count as Gaussian and independent of the values. A softmax over T scores of variance s^2
spreads its weight over about T / exp(s^2) of them; values are averaged accordingly, except for
what all positions share. What several targets average over the same sources they then share.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.init.moments import Call, Moments, UnknownFormError, propagates
from gainstage.init.propagation.weights import product


@propagates("softmax")
def softmax(call: Call) -> Moments:
    """Weights over an axis: mean 1/T, and concentrated by the variance of the scores."""
    x = call.signal(0, "input")
    axis = call.argument(1, "dim", -1)
    kept = torch.ones(x.shape, dtype=torch.float64) if x.kept is None else x.kept.expand(x.shape)
    open_ = kept.sum(axis, keepdim=True).clamp_min(1.0)
    focus = _focus(float(x.variance.mean()), open_)
    mean = kept / open_
    second = kept * focus / open_
    width = second + torch.zeros_like(x.second)
    return x.but(
        mean=mean + torch.zeros_like(x.mean),
        second=width,
        samples=mean.square().mean().expand_as(x.samples),
        positions=mean.square().mean(),
        flow=x.flow * second.detach(),
        flow_pair=x.flow_pair * mean.square().mean().detach(),
        crude=True,
    )


@propagates("masked_fill")
def masked_fill(call: Call) -> Moments:
    """``scores.masked_fill(mask, -inf)``: what the softmax leaves out."""
    x, mask = call.signal(0, "input"), call.weight(1, "mask")
    value = call.argument(2, "value")
    if isinstance(value, Moments):
        raise UnknownFormError
    number = float(value)
    if number > -1e4:
        kept = (~mask).double().cpu()
        return x.but(
            mean=x.mean * kept + number * (1 - kept),
            second=x.second * kept + number**2 * (1 - kept),
            flow=x.flow * kept,
        )
    return x.but(kept=(~mask).double().cpu())


@propagates("scaled_dot_product_attention")
def scaled_dot_product(call: Call) -> Moments:
    """``F.scaled_dot_product_attention(query, key, value)``: [..., T, d]."""
    query, key, value = (call.signal(i, n) for i, n in enumerate(("query", "key", "value")))
    if query.shape[:-2] != value.shape[:-2] or query.shape[-1] != value.shape[-1]:
        raise UnknownFormError  # heads that share keys, values of another size
    mask = call.argument(3, "attn_mask")
    causal = bool(call.argument(5, "is_causal", default=False))
    scale = call.kwargs.get("scale") or 1 / math.sqrt(query.shape[-1])
    kept = _mask(mask, causal, query.shape[-2], key.shape[-2])
    return attended(query, key, value, kept, scale**2 * query.shape[-1])


def attended(
    query: Moments, key: Moments, value: Moments, kept: Tensor, sharpness: float
) -> Moments:
    """Values averaged by the softmax of scores: [..., targets, d].

    Args:
        query: [..., targets, d].
        key: [..., sources, d].
        value: [..., sources, d].
        kept: where the mask lets pass: [targets, sources].
        sharpness: variance of the scores for queries and keys of rms 1.
    """
    open_ = kept.sum(-1).clamp_min(1.0)
    differing = (key.power - key.positions).clamp_min(0.0).detach()  # what keys share cancels
    focus = _focus(sharpness * float(query.power * differing), open_)
    weights = kept / open_[:, None]
    common = value.positions
    alone = (value.second - common).clamp_min(0.0)
    shares = weights * focus[:, None]
    mixed = weights @ alone * focus[:, None] + common
    both = weights @ weights.T
    n = len(both)
    overlap = (both.sum() - both.diagonal().sum()) / max(n * (n - 1), 1)
    own = sharpness * alone.mean().detach()
    flow = shares @ value.flow
    flow = flow + focus[:, None] * query.flow * own * differing
    flow = flow + shares @ key.flow * own * query.power.detach()
    return value.but(
        mean=weights @ value.mean,
        second=mixed,
        samples=value.samples,
        positions=common + overlap * alone.mean(),
        flow=flow,
        crude=True,
    )


@propagates("multi_head_attention_forward")
def multi_head(call: Call) -> Moments:
    """``nn.MultiheadAttention``: projections, attention of each head, projection of the output."""
    if call.item:
        raise UnknownFormError
    args = _named(call)
    packed, in_bias = args["in_proj_weight"], args["in_proj_bias"]
    weights: list[Tensor] = (
        [args[f"{one}_proj_weight"] for one in "qkv"] if packed is None else list(packed.chunk(3))
    )
    biases: list[Tensor | None] = [None] * 3 if in_bias is None else list(in_bias.chunk(3))
    given = (args["query"], args["key"], args["value"])
    if not all(isinstance(x, Moments) for x in given):
        raise UnknownFormError  # learned queries
    projected = [
        product(x, w, b, w.shape[0]) for x, w, b in zip(given, weights, biases, strict=True)
    ]
    mask = args.get("attn_mask")
    causal = bool(args.get("is_causal")) and mask is None
    kept = _mask(mask, causal, projected[0].shape[0], projected[1].shape[0])
    # torch hands sequences over as [T, samples, features]
    q, k, v = (x.shaped(_sequence_last) for x in projected)
    mixed = attended(q, k, v, kept, 1.0).shaped(_sequence_last)
    out_weight, out_bias = args["out_proj_weight"], args["out_proj_bias"]
    return product(mixed, out_weight, out_bias, out_weight.shape[0]).but(crude=True)


def _named(call: Call) -> dict[str, Any]:
    """The arguments of a call by their names."""
    signature = inspect.signature(F.multi_head_attention_forward)
    return dict(signature.bind(*call.args, **call.kwargs).arguments)


def _sequence_last(t: Tensor) -> Tensor:
    return t.transpose(0, -2) if t.dim() == 3 else t


def _focus(scores: float, open_: Tensor) -> Tensor:
    """Sum of the squared weights of a softmax over `open_` scores of that variance.

    exp(s^2)/T for many, as log-normal weights have; 1 for one.
    """
    return 1 / (1 + (open_ - 1) * math.exp(-min(scores, 50.0)))


def _mask(mask: Any, causal: bool, targets: int, sources: int) -> Tensor:
    kept = torch.ones(targets, sources, dtype=torch.float64)
    if causal:
        kept = kept.tril()
    if isinstance(mask, Tensor):
        passing = mask if mask.dtype == torch.bool else torch.isfinite(mask)
        kept = kept * passing.double().cpu().reshape(-1, *mask.shape[-2:]).mean(0)
    return kept
