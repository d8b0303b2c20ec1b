"""Through what only moves elements about: views, slices, transposes, joining."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from gainstage.init.moments import Call, Moments, propagates
from gainstage.init.vocabulary import MOVES


@propagates(*MOVES)
def moved(call: Call) -> Moments:
    """The function itself, applied to what has the tensor's shape."""
    x = call.args[0] if call.args else call.kwargs.get("input")
    if not isinstance(x, Moments):
        raise NotImplementedError
    if any(isinstance(leaf, Moments) for leaf in pytree.tree_leaves(call.args[1:])):
        return _by_example(call, x)

    def function(v: Tensor) -> Tensor:
        result = call.function(v, *call.args[1:], **call.kwargs)
        return _double(result if isinstance(result, Tensor) else result[call.item])

    kept = x.shaped(function)
    same = call.shape == x.shape
    return kept.but(before=x.before if same else None, kept=x.kept if same else None)


def _by_example(call: Call, x: Moments) -> Moments:
    """``view_as`` and its like: the other argument only gives a shape, or an index."""
    name = getattr(call.function, "__name__", "").strip("_")
    if name not in {"view_as", "reshape_as", "expand_as", "type_as"}:
        raise NotImplementedError
    return x.shaped(lambda v: v.expand(call.shape) if "expand" in name else v.reshape(call.shape))


def _double(value: Tensor) -> Tensor:
    return value if value.dtype == torch.float64 else value.double()


@propagates("cat", "concat", "concatenate", "stack", "hstack", "vstack")
def joined(call: Call) -> Moments:
    """Tensors one after the other."""
    given = call.args[0] if call.args else call.kwargs["tensors"]
    signals = [part for part in given if isinstance(part, Moments)]
    if not signals:
        raise NotImplementedError

    def join(field: str) -> Tensor:
        parts = [_field(part, field) for part in given]
        result: Tensor = call.function(parts, *call.args[1:], **call.kwargs)
        return result

    sizes = [float(s.second.numel()) for s in signals]
    shares = [size / sum(sizes) for size in sizes]

    def blend(values: Any) -> Any:
        return sum(share * value for share, value in zip(shares, values, strict=True))

    first = signals[0]
    return first.but(
        mean=join("mean"),
        second=join("second"),
        samples=blend([s.samples for s in signals]),
        positions=blend([s.positions for s in signals]),
        flow=join("flow"),
        flow_pair=sum((s.flow_pair for s in signals[1:]), first.flow_pair),
        spread=blend([s.spread for s in signals]),
        own_spread=blend([s.own_spread * share for s, share in zip(signals, shares, strict=True)]),
        crude=any(s.crude for s in signals),
    )


def _field(part: Any, field: str) -> Tensor:
    if isinstance(part, Moments):
        value: Tensor = getattr(part, field)
        return value
    wide: Tensor = part.detach().double().cpu()
    return {"mean": wide, "second": wide**2, "flow": torch.zeros_like(wide)}[field]
