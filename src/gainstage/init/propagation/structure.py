"""Through what only moves elements about: views, slices, transposes, joining."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from gainstage.init.moments import Call, Moments, UnknownFormError, propagates
from gainstage.init.vocabulary import MOVES

_CONVERSIONS: Final = frozenset(
    [
        "to",
        "float",
        "double",
        "half",
        "bfloat16",
        "type",
        "type_as",
        "contiguous",
        "clone",
        "requires_grad",
    ]
)
"""They change how a tensor is kept; moments are kept in one way."""


@propagates(*MOVES)
def moved(call: Call) -> Moments:
    """The function itself, applied to what has the tensor's shape."""
    x = call.signal(0, "input")
    name = getattr(call.function, "__name__", "").strip("_")
    if name in _CONVERSIONS:
        return x
    if any(isinstance(leaf, Moments) for leaf in pytree.tree_leaves(call.args[1:])):
        return _by_example(name, call, x)
    rest, options = pytree.tree_map(_on_cpu, (call.args[1:], call.kwargs))
    options = {key: value for key, value in options.items() if key != "input"}
    # what is alike is kept as one element, of which a view may not make the shape
    move = Tensor.reshape if name == "view" else call.function

    def function(v: Tensor) -> Tensor:
        try:
            result = move(v, *rest, **options)
        except (RuntimeError, TypeError) as error:  # what cannot be done to doubles
            raise UnknownFormError from error
        return result if isinstance(result, Tensor) else result[call.item]

    kept = x.shaped(function)
    same = call.shape == x.shape
    return kept.but(before=x.before if same else None, kept=x.kept if same else None)


def _by_example(name: str, call: Call, x: Moments) -> Moments:
    """``view_as`` and its like: the other argument only gives a shape, or an index."""
    if name not in {"view_as", "reshape_as", "expand_as"}:
        raise UnknownFormError
    return x.shaped(lambda v: v.expand(call.shape) if "expand" in name else v.reshape(call.shape))


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value


@propagates("cat", "concat", "concatenate", "stack", "hstack", "vstack")
def joined(call: Call) -> Moments:
    """Tensors one after the other."""
    given = call.argument(0, "tensors")
    signals = [part for part in given if isinstance(part, Moments)]
    if not signals:
        raise UnknownFormError

    def join(field: str) -> Tensor:
        parts = [_field(part, field) for part in given]
        options = {key: value for key, value in call.kwargs.items() if key != "tensors"}
        result: Tensor = call.function(parts, *call.args[1:], **options)
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
