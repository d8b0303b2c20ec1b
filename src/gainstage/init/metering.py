"""Reads, and on demand sets, the level of every product with a parameter while a pass runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gainstage.init.layers import Weight

_LAYERS: Final = frozenset(
    [
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
    ]
)
_RECURRENT: Final = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))


@dataclass(frozen=True, slots=True)
class Stage:
    """Level of a product, and size of the weight."""

    rms: float
    size: float


class Meter(TorchFunctionMode):
    """While active, notes the level of each product with a parameter.

    Args:
        weights: the model's, by the id of the parameter.
        target: gives the level in dB that a weight's product is to have, by the weight's name;
            None to scale nothing.

    Attributes:
        stages: what was met, by name, in order.
    """

    def __init__(
        self, weights: Mapping[int, Weight], target: Callable[[str], float] | None = None
    ) -> None:
        super().__init__()
        self._weights = weights
        self._target = target
        self.stages: dict[str, Stage] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function; where it multiplies by a parameter, see to the level first."""
        del types
        self.look(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))

    def look(self, func: Any, args: Any, kwargs: Any) -> None:
        """Note, and on demand set, the level of what a call is about to put out."""
        handler = _HANDLERS.get(str(getattr(func, "__name__", "")).strip("_"))
        if handler is not None:
            handler(self, func, args, kwargs)

    def weight(self, value: Any) -> Weight | None:
        """The model's weight that a tensor is."""
        found = self._weights.get(id(value)) if isinstance(value, Tensor) else None
        return found if found is not None and found.role in {"weight", "unknown"} else None

    def see_to(
        self, weight: Weight, part: Tensor, index: int | None, product: Tensor, bias: Tensor | None
    ) -> None:
        """Note the level of a product, and scale the weight to its target.

        Args:
            weight: the parameter.
            part: the matrix in it, a view.
            index: of the part, or None.
            product: what it makes of its input.
            bias: what is added, broadcast to the product; or None.
        """
        name = weight.name if index is None else f"{weight.name}[{index}]"
        if name in self.stages:  # shared, or called again: the first call counts
            return
        wide = product.double()
        shift = 0.0 if bias is None else bias.double()
        size = float(part.double().square().mean().sqrt())
        self.stages[name] = Stage(float((wide + shift).square().mean().sqrt()), size)
        if self._target is None or not weight.parameter.requires_grad:
            return
        goal = 10 ** (self._target(name) / 20)
        power = float(wide.square().mean())
        if not power > 0 or not math.isfinite(power):
            return
        cross = float((wide * shift).mean())
        own = float((wide * 0 + shift).square().mean())
        under = cross**2 - power * (own - goal**2)
        # where the bias alone is louder than the goal, the product is set to it
        part.mul_((math.sqrt(under) - cross) / power if under > cross**2 else goal / power**0.5)


def _layer(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    given = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
    weight = meter.weight(given.get("weight"))
    if weight is None:
        return
    bias = given.get("bias")
    rest = args[3:]
    options = {k: v for k, v in kwargs.items() if k not in {"input", "weight", "bias"}}
    product = func(given["input"], given["weight"], None, *rest, **options)
    if bias is not None and func is not F.linear:
        bias = bias.view(-1, *[1] * (weight.parameter.dim() - 2))
    meter.see_to(weight, weight.parameter.detach(), None, product, bias)


def _embedding(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    weight = meter.weight(args[1] if len(args) > 1 else kwargs.get("weight"))
    if weight is not None:
        meter.see_to(weight, weight.parameter.detach(), None, func(*args, **kwargs), None)


def _bilinear(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    given = dict(zip(("input1", "input2", "weight", "bias"), args, strict=False)) | kwargs
    weight = meter.weight(given["weight"])
    if weight is not None:
        product = func(given["input1"], given["input2"], given["weight"], None)
        meter.see_to(weight, weight.parameter.detach(), None, product, given.get("bias"))


def _matmul(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    for value in (*args[:2], kwargs.get("other"), kwargs.get("mat2")):
        weight = meter.weight(value)
        if weight is not None and weight.parameter.dim() >= 2:
            product = func(*args, **kwargs)
            meter.see_to(weight, weight.parameter.detach(), None, product, None)


def _addmm(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    """``torch.addmm(bias, x, w)``, as a layer that keeps its weight the other way round."""
    del func
    given = dict(zip(("input", "mat1", "mat2"), args, strict=False)) | kwargs
    weight = meter.weight(given["mat2"])
    if weight is not None and not given.keys() & {"alpha", "beta"}:
        matrix = weight.parameter.detach()
        meter.see_to(weight, matrix, None, given["mat1"] @ matrix, given["input"])


def _attention(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    names = func.__code__.co_varnames[: func.__code__.co_argcount]
    given = dict(zip(names, args, strict=False)) | kwargs
    packed, bias = meter.weight(given["in_proj_weight"]), given["in_proj_bias"]
    parts = [None] * 3 if bias is None else list(bias.chunk(3))
    for i, one in enumerate(("query", "key", "value")):
        weight = packed or meter.weight(given.get(f"{one[0]}_proj_weight"))
        if weight is not None:
            matrix = weight.parts[i] if packed else weight.parameter.detach()
            product = F.linear(given[one], matrix)
            meter.see_to(weight, matrix, i if packed else None, product, parts[i])
    out = meter.weight(given["out_proj_weight"])
    if out is not None:
        shift = given["out_proj_bias"]
        result = func(*args, **kwargs)[0]
        product = result if shift is None else result - shift
        meter.see_to(out, out.parameter.detach(), None, product, shift)


def _recurrent(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    """Gate by gate what the input adds to it; what the state adds is left to its matrix."""
    del kwargs
    if len(args) < 9 or not isinstance(args[3], bool):  # a packed sequence
        return
    x, states, flat, biased, layers, _, training, two_way, first = args
    ways = 2 if two_way else 1
    size = len(flat) // (layers * ways)
    for layer in range(layers):
        own = flat[layer * ways * size : (layer + 1) * ways * size]
        for way in range(ways):
            _gates(meter, own[way * size], x)
        at = slice(layer * ways, (layer + 1) * ways)
        state = tuple(s[at] for s in states) if isinstance(states, (tuple, list)) else states[at]
        x = func(x, state, own, biased, 1, 0.0, training, two_way, first)[0]


def _cell(meter: Meter, func: Any, args: Any, kwargs: Any) -> None:
    del func, kwargs
    _gates(meter, args[2], args[0])


def _gates(meter: Meter, matrix: Tensor, x: Tensor) -> None:
    weight = meter.weight(matrix)
    if weight is not None:
        for i, gate in enumerate(weight.parts):
            meter.see_to(weight, gate, i, F.linear(x, gate), None)


_Handler = Callable[[Meter, Any, Any, Any], None]

_HANDLERS: Final[dict[str, _Handler]] = {
    **dict.fromkeys(_LAYERS, _layer),
    **dict.fromkeys(("matmul", "mm", "rmatmul"), _matmul),
    **dict.fromkeys(_RECURRENT, _recurrent),
    **dict.fromkeys(("embedding", "embedding_bag"), _embedding),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _cell),
    "addmm": _addmm,
    "bilinear": _bilinear,
    "multi_head_attention_forward": _attention,
}
