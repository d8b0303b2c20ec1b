"""From a loss that a script writes out down to what it is made of, along the graph behind it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch.nn.functional as F
from torch import Tensor

from gainstage.probe.arguments import CLASSIFICATION, DISTANCES
from gainstage.probe.graph import operation_of
from gainstage.probe.lossparts import Function, Part
from gainstage.torch_private import exponent_of, node_number

_NODES: Final = 512
"""Nodes of the graph of one loss that are looked at."""
_TERMS: Final = 8
_SAME: Final = 1e-5
"""Rounding of a loss."""
_BATCHES: Final = 64
"""Micro-batches by whose number a loss may be divided."""
_COMPLEMENTS: Final = 1e-3
"""How far what is added to a logarithm's argument may lead from one."""

Parts = Mapping[tuple[int, str], Part]
"""By the number of a node and its operation."""

_KEEPS: Final = frozenset(
    {
        "Neg",
        "View",
        "UnsafeView",
        "ReshapeAlias",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
        "T",
        "Permute",
        "Clone",
        "ToCopy",
        "Alias",
    }
)
"""What leaves all numbers as they are, but for their signs."""
_REDUCES: Final = frozenset({"Mean", "Sum"})
_SCALES: Final = frozenset({"Mul", "Div"})
_PENALISES: Final = (
    _KEEPS
    | _REDUCES
    | _SCALES
    | {"Add", "Pow", "Abs", "Sqrt", "Norm", "LinalgVectorNorm", "torch::autograd::AccumulateGrad"}
)
"""What penalties of parameters are made of."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A loss that was recognised.

    Attributes:
        function: of torch.nn.functional that it equals, up to the scale.
        target: as that function takes it, a target of probabilities with the classes last.
        classes: their number; 0 for numbers.
        value: of the loss, without penalties.
        scale: the value over what the function sums to.
    """

    function: Function
    target: Tensor
    classes: int
    value: float
    scale: float


@dataclass(frozen=True, slots=True)
class Way:
    """From a loss down to the part that it is made of.

    Attributes:
        part: the part.
        function: what it then is.
        total: what that sums to over the part.
        reductions: operations on the way that sum or average.
        scaled: the loss was multiplied or divided.
        weighted: what it sums was.
    """

    part: Part
    function: Function
    total: float
    reductions: frozenset[str]
    scaled: bool
    weighted: bool

    @classmethod
    def down_from(cls, node: Any, parts: Iterable[Part]) -> Way | None:
        """The way from a node; None if there is none."""
        by_node: Parts = {(part.node, part.operation): part for part in parts}
        reductions: set[str] = set()
        scaled = weighted = False
        for _ in range(_NODES):
            if node is None:
                return None
            core = _core(node, by_node)
            if core is not None:
                return cls(*core, frozenset(reductions), scaled, weighted)
            operation, parents = operation_of(node), _parents(node)
            if len(parents) != 1 or operation not in _KEEPS | _REDUCES | _SCALES:
                return None
            if operation in _REDUCES:
                reductions.add(operation)
            elif operation in _SCALES:
                scaled, weighted = scaled or not reductions, weighted or bool(reductions)
            node = parents[0]
        return None

    def plain_value(self) -> float:
        """The loss as far as the graph alone tells it; NaN where it does not."""
        if self.scaled or self.weighted or len(self.reductions) > 1:
            return math.nan
        return self.total / (math.prod(self.part.shape) if "Mean" in self.reductions else 1)

    def reading(self, value: float) -> Reading | None:
        """What was recognised, if the loss has the value that it should have."""
        if not (
            self.total > 0 and math.isfinite(self.total) and value > 0 and math.isfinite(value)
        ):
            return None
        scale = value / self.total
        if not self._expects(scale) or not self.part.unchanged:
            return None
        part, classes = self.part, 0
        target = part.target.detach()
        if part.logs is not None:  # it may have had the loss's minus
            target = target.abs()
        if self.function in CLASSIFICATION:
            classes = part.classes
            target = target if part.axis is None else target.movedim(part.axis, -1)
        return Reading(self.function, target, classes, value, scale)

    def _expects(self, scale: float) -> bool:
        """Whether the loss can be a sum or a mean, over some axes or all, of what it is made of."""
        if self.scaled and not self.weighted and self.function in DISTANCES:
            return True  # whatever the factor is, it is one for all
        counts = {
            math.prod(axes)
            for n in range(len(self.part.shape) + 1)
            for axes in itertools.combinations(self.part.shape, n)
        }
        factors = [1.0]
        if self.weighted:
            factors += [0.5, 2.0]
        if self.scaled:
            factors += [1 / n for n in range(2, _BATCHES + 1)]
        return any(
            abs(scale * count / factor - 1) < _SAME for count in counts for factor in factors
        )


def _core(node: Any, parts: Parts) -> tuple[Part, Function, float] | None:
    """What a node is of a loss: the part, the function, and what this sums to."""
    part = _part(node, parts)
    if part is not None and (part.picked == "logarithms" or part.axis is not None):
        return part, F.nll_loss if part.picked else F.cross_entropy, part.minus_log
    operation = operation_of(node)
    below = [_part_below(parent, parts) for parent in _parents(node)]
    if not below or below[0] is None:
        return None
    first, last = below[0], below[-1]
    if operation in {"Add", "Sub"} and last is not None and _are_complements(first, last):
        return first, F.binary_cross_entropy, first.minus_log + last.minus_log
    if operation == "Log" and first.picked == "probabilities":
        return first, F.nll_loss, first.minus_log
    if exponent_of(node) == 2 or _is_own_product(operation, node):
        return first, F.mse_loss, first.squares
    return (first, F.l1_loss, first.sizes) if operation == "Abs" else None


def _is_own_product(operation: str, node: Any) -> bool:
    parents = _parents(node)
    return operation == "Mul" and len(parents) == 2 and parents[0] is parents[1]


def _are_complements(one: Part, other: Part) -> bool:
    """Whether of two targets, and of two probabilities, the one is what the other leaves of one."""
    if one.logs is None or other.logs is None or one.shape != other.shape:
        return False
    targets = one.target.abs() + other.target.abs()
    probabilities = one.logs.exp() + other.logs.exp()
    return all(bool(((both - 1).abs() < _COMPLEMENTS).all()) for both in (targets, probabilities))


def terms_of(node: Any) -> list[Any]:
    """What a sum is made of, as nodes of its graph."""
    found: list[Any] = []
    pending = [node]
    while pending and len(found) < _TERMS:
        one = pending.pop()
        if one is not None and operation_of(one) == "Add":
            pending += _parents(one)
        else:
            found.append(one)
    return found + pending


def is_penalty(node: Any) -> bool:
    """Whether a term is made of parameters by the plainest operations."""
    pending, seen = [node], {node}
    while pending and len(seen) < _NODES:
        one = pending.pop()
        if one is None or operation_of(one) not in _PENALISES:
            return False
        new = [parent for parent in _parents(one) if parent not in seen]
        seen.update(new)
        pending += new
    return not pending


def _part(node: Any, parts: Parts) -> Part | None:
    return parts.get((node_number(node), operation_of(node)))


def _part_below(node: Any, parts: Parts) -> Part | None:
    """The part that a node is, or is a view or a copy of."""
    part = _part(node, parts)
    while part is None and operation_of(node) in _KEEPS and _parents(node):
        node = _parents(node)[0]
        part = _part(node, parts)
    return part


def _parents(node: Any) -> list[Any]:
    return [parent for parent, _ in node.next_functions if parent is not None]
