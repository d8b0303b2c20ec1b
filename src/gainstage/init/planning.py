"""What is to be drawn for each parameter, and the drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Generator, Tensor, nn

from gainstage.errors import UsageError
from gainstage.init import drawing
from gainstage.init.activations import activation
from gainstage.init.gains import Direction, gain
from gainstage.init.layers import Weight, bare
from gainstage.init.wiring import Wiring
from gainstage.theory.fans import Fans, torch_fan_in
from gainstage.theory.results import Drawn
from gainstage.theory.schemes import Scheme

_GAINS: dict[tuple[str, bool, Direction], float] = {}
"""Of modules whose description is all that there is to them: a quadrature takes milliseconds."""

Given = str | nn.Module | Callable[[Tensor], Tensor]
"""An activation: a name, a module or a function."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for.

    Attributes:
        scheme: how to draw.
        options: of the scheme.
        given: gain for all hidden layers, or None for the derived one.
        activations: overrides by pattern of the weight's name.
        torch_habit: the gain is that of the activation behind the layer.
        bias: value of biases; None to leave them.
        generator: what is drawn by.
        dry: change nothing.
        only: patterns of parameters' names; None for all.
    """

    scheme: Scheme
    options: dict[str, Any]
    given: float | None
    activations: Mapping[str, Given]
    torch_habit: bool
    bias: float | None
    generator: Generator | None
    dry: bool
    only: Sequence[str] | None


def check(weights: Sequence[Weight], plan: Plan) -> None:
    """Raise a UsageError if a pattern matches none of the weights."""
    for pattern in (*plan.activations, *(plan.only or ())):
        if not any(matches(w, pattern) for w in weights):
            msg = (
                f"{pattern!r} matches no parameter; there are: "
                f"{', '.join(w.name for w in weights[:8])}{', ...' if weights[8:] else ''}."
            )
            raise UsageError(msg)


def matches(weight: Weight, pattern: str) -> bool:
    """Whether a pattern names a weight, or a module that it is in."""
    return any(
        fnmatchcase(n, pattern) or n.startswith(f"{pattern}.")
        for n in (weight.name, *weight.aliases)
    )


def carry_out(weights: Sequence[Weight], wiring: Wiring | None, plan: Plan) -> Iterator[Drawn]:
    """Draw, unless it is a dry run, and tell of each parameter what was done."""
    where = wiring.of_weights() if wiring else {}
    factors = _branch_factors(weights, wiring, plan) if wiring else {}
    fans_of_layer = {w.layer: w for w in weights if w.role == "weight"}
    for weight in weights:
        shape = tuple(weight.parameter.shape)
        if plan.only is not None and not any(matches(weight, p) for p in plan.only):
            yield Drawn(weight.name, shape, "kept", "not asked for")
        elif not weight.parameter.requires_grad:
            yield Drawn(weight.name, shape, "kept", "frozen")
        elif weight.role == "norm":
            yield Drawn(weight.name, shape, "kept", "of a norm")
        elif not weight.parameter.numel():
            yield Drawn(weight.name, shape, "kept", "empty")
        elif weight.parameter.is_complex():
            yield Drawn(weight.name, shape, "kept", "complex")
        elif weight.role == "bias":
            yield _bias(weight, fans_of_layer.get(weight.layer), plan)
        else:
            yield _weight(weight, wiring, where.get(id(weight.parameter)), factors, plan)


def _bias(weight: Weight, of: Weight | None, plan: Plan) -> Drawn:
    shape = tuple(weight.parameter.shape)
    if (
        plan.scheme.name == "torch_default"
        and of is not None
        and of.fans is not None
        and of.parameter.numel()
    ):
        std = plan.scheme.std(_fans(of, plan))
        if not plan.dry:
            drawing.fill(weight.parameter, "uniform", std, of.fans, plan.generator)
        return Drawn(weight.name, shape, "drawn", "as torch does", "uniform", std)
    if plan.bias is None:
        return Drawn(weight.name, shape, "kept", "biases are left")
    if not plan.dry:
        with torch.no_grad():
            weight.parameter.fill_(plan.bias)
    return Drawn(weight.name, shape, "filled" if plan.bias else "zero", std=plan.bias)


def _weight(
    weight: Weight, wiring: Wiring | None, at: int | None, factors: dict[int, float], plan: Plan
) -> Drawn:
    shape = tuple(weight.parameter.shape)
    if weight.role == "unknown":
        if wiring is None or at is None or len(shape) < 2:
            why = "a bare parameter whose use is not known" if len(shape) > 1 else "a vector"
            return Drawn(weight.name, shape, "kept", why)
        weight = bare(weight, inputs_first=wiring.vertices[at].flipped)
    assert weight.fans is not None  # noqa: S101 - every weight has fans, says weights_of
    name, by = _activation(weight, wiring, at, plan)
    factor = factors.get(id(weight.parameter), 1.0)
    std = plan.scheme.std(_fans(weight, plan), by, **plan.options) * factor
    if not plan.dry:
        law_options = {k: v for k, v in plan.options.items() if k == "connections"}
        for part in weight.parts:
            drawing.fill(
                part.transpose(-1, -2) if weight.flipped else part,
                plan.scheme.law,
                std,
                weight.fans,
                plan.generator,
                **law_options,
            )
    return Drawn(
        weight.name,
        shape,
        "drawn",
        _told(weight),
        plan.scheme.law,
        std,
        weight.fans.fan_in,
        weight.fans.fan_out,
        name,
        by if plan.scheme.gained or plan.given else 1.0,
        factor,
    )


def _fans(weight: Weight, plan: Plan) -> Fans:
    """The fans that the scheme draws by: torch's default has its own."""
    assert weight.fans is not None  # noqa: S101 - every weight has fans, says weights_of
    if plan.scheme.name != "torch_default":
        return weight.fans
    own = torch_fan_in(weight.op, tuple(weight.parameter.shape), weight.fans)
    return Fans(own, weight.fans.fan_out, weight.fans.parts)


def _told(weight: Weight) -> str:
    tied = f"tied to {', '.join(weight.aliases)}" if weight.aliases else ""
    parts = f"{weight.fans.parts} parts" if weight.fans and weight.fans.parts > 1 else ""
    return ", ".join(text for text in (tied, parts) if text)


def _activation(
    weight: Weight, wiring: Wiring | None, at: int | None, plan: Plan
) -> tuple[str, float]:
    """Name and gain of the activation that a weight makes up for."""
    for pattern, given in plan.activations.items():
        if matches(weight, pattern):
            found = activation(given)
            return found.name, plan.given or float(gain(given, _direction(plan)))
    if plan.given is not None:
        return "", plan.given
    if not plan.scheme.gained:
        return "", 1.0
    if wiring is None or at is None or weight.state or weight.op == "Embedding":
        return "", 1.0
    found_vertex = wiring.following(at) if plan.torch_habit else wiring.feeding(at)
    if found_vertex is None or found_vertex.function is None:
        return "", 1.0
    return found_vertex.name, _gain(found_vertex.function, _direction(plan))


def _gain(function: Callable[[Tensor], Tensor] | nn.Module, direction: Direction) -> float:
    """The gain of an activation; of torch's own modules, those that are alike are one."""
    own = type(function).__module__ == nn.ReLU.__module__
    if not isinstance(function, nn.Module) or not own or any(True for _ in function.parameters()):
        return float(gain(function, direction))
    key = (repr(function), function.training, direction)
    if key not in _GAINS:
        _GAINS[key] = float(gain(function, direction))
    return _GAINS[key]


def _direction(plan: Plan) -> Direction:
    return "backward" if plan.options.get("mode") == "fan_out" else "forward"


def _branch_factors(weights: Sequence[Weight], wiring: Wiring, plan: Plan) -> dict[int, float]:
    """What each weight of a residual branch is multiplied by, by the parameter's id."""
    rule = plan.scheme.branch
    if rule is None:
        return {}
    own = {id(w.parameter): w for w in weights if w.role == "weight"}
    found = {}
    branches = wiring.branches()
    for line in branches:
        given = [own[i] for at in line for i in wiring.vertices[at].weights if i in own]
        # attention projects into heads first and out of them last, however torch lists them
        given.sort(key=lambda w: (line.index(_place(wiring, w)), "out_proj" in w.name))
        for weight in given:
            factor = rule(len(branches), len(given), weight is given[-1])
            found[id(weight.parameter)] = factor
    return found


def _place(wiring: Wiring, weight: Weight) -> int:
    return wiring.of_weights()[id(weight.parameter)]
