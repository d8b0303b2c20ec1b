"""What losses that a script writes out are made of: noted where it is computed, with its target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import torch
from torch import Tensor, nn

from gainstage.probe.graph import operation_of
from gainstage.sketch.tensors import unreadable, version_of
from gainstage.torch_private import node_number

Function = Callable[..., Any]

DIFFERENCES: Final[frozenset[Function]] = frozenset(
    {torch.sub, torch.subtract, Tensor.sub, Tensor.subtract}
)
PRODUCTS: Final[frozenset[Function]] = frozenset(
    {torch.mul, torch.multiply, Tensor.mul, Tensor.multiply}
)
GATHERS: Final[frozenset[Function]] = frozenset(
    {torch.gather, Tensor.gather, torch.take_along_dim, Tensor.take_along_dim}
)
INDEXINGS: Final[frozenset[Function]] = frozenset({Tensor.__getitem__})

_ROWS: Final = 64
"""Samples whose probabilities are summed."""
_ROUNDING: Final = 1e-3
"""How far probabilities may sum from one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a loss may be made of.

    Attributes:
        node: number of the node of the graph that made it.
        operation: of that node.
        shape: of what it made.
        target: numbers, labels, or probabilities.
        version: how often the target had been changed in place.
        squares: of a prediction less its target, their sum; NaN for other parts.
        sizes: likewise, the sum of the absolute values.
        minus_log: sum of the negative logarithms of the probabilities that labels picked, or that
            were multiplied with a target; NaN for other parts.
        picked: from what labels picked: ``"logarithms"``, ``"probabilities"``; ``""`` if none did.
        axis: of the classes in a target of probabilities; None where there are none.
        classes: their number; 0 where there are none.
        logs: what a target, or its negative, was multiplied with.
    """

    node: int
    operation: str
    shape: tuple[int, ...]
    target: Tensor
    version: int
    squares: float = math.nan
    sizes: float = math.nan
    minus_log: float = math.nan
    picked: str = ""
    axis: int | None = None
    classes: int = 0
    logs: Tensor | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the target still is what it was when the part was made."""
        return version_of(self.target) == self.version


def is_here(value: Any) -> TypeGuard[Tensor]:
    """Whether something is an ordinary tensor whose numbers can be read at once."""
    return (
        type(value) in {Tensor, nn.Parameter}
        and value.is_cpu
        and value.layout == torch.strided
        and value.numel() > 0
        and not unreadable(value)
    )


def difference(args: Sequence[Any], made: Tensor) -> Part | None:
    """A prediction less a constant of its shape, or the other way round.

    Args:
        args: of the subtraction.
        made: what it returned.

    Example:
        >>> x, y = torch.tensor([1.0, 5.0], requires_grad=True) * 2, torch.tensor([3.0, 7.0])
        >>> found = difference((x, y), x - y)
        >>> found.squares, found.sizes
        (10.0, 4.0)
    """
    target, prediction = _with_constant(args, made)
    if target is None or prediction is None or prediction.is_leaf:  # a parameter has an anchor
        return None
    values = made.detach().double()
    return Part(
        **_made(made, target),
        squares=float(values.square().sum()),
        sizes=float(values.abs().sum()),
    )


def product(args: Sequence[Any], made: Tensor) -> Part | None:
    """Targets between zero and one, or their negatives, times logarithms of probabilities.

    Args:
        args: of the multiplication.
        made: what it returned.

    Example:
        >>> logs, hot = torch.zeros(2, 4, requires_grad=True).log_softmax(1), torch.eye(4)[:2]
        >>> found = product((hot, logs), hot * logs)
        >>> round(found.minus_log, 4), found.axis, found.classes
        (2.7726, 1, 4)
    """
    target, logs = _with_constant(args, made)
    if target is None or logs is None:
        return None
    logs = logs.detach()
    shares = -target if bool((target <= 0).all()) else target
    if not bool(((shares >= 0) & (shares <= 1) & (logs <= 0)).all()):
        return None
    axis = _axis_of_classes(shares, logs)
    return Part(
        **_made(made, target),
        minus_log=abs(float(made.detach().double().sum())),
        axis=axis,
        classes=0 if axis is None else made.shape[axis],
        logs=logs,
    )


def indexed(args: Sequence[Any], made: Tensor) -> Part | None:
    """What labels picked of a table, one number a row: ``table[torch.arange(n), labels]``.

    Args:
        args: the table and the index.
        made: what they returned.
    """
    table, index = args if len(args) == 2 else (None, None)
    if not (is_here(table) and table.dim() == 2 and isinstance(index, tuple) and len(index) == 2):
        return None
    rows, labels = map(_whole_numbers, index)
    if rows is None or labels is None or rows.shape != labels.shape or rows.dim() != 1:
        return None
    if not torch.equal(rows, torch.arange(len(rows))):
        return None
    return _picked(table, 1, labels, made)


def gathered(args: Sequence[Any], kwargs: dict[str, Any], made: Tensor) -> Part | None:
    """The same by ``table.gather(axis, labels)`` or ``torch.take_along_dim``.

    Args:
        args: of the call.
        kwargs: likewise.
        made: what it returned.
    """
    table, *rest = *args, *kwargs.values()
    labels = next((one for one in rest if isinstance(one, Tensor)), None)
    axis = next((one for one in rest if isinstance(one, int)), None)
    if not is_here(table) or table.dim() < 2 or labels is None or axis is None:
        return None
    whole, axis = _whole_numbers(labels), axis % table.dim()
    one_each = (*table.shape[:axis], 1, *table.shape[axis + 1 :])
    if whole is None or whole.shape != one_each:
        return None
    return _picked(table, axis, whole, made)


def _picked(table: Tensor, axis: int, labels: Tensor, made: Tensor) -> Part | None:
    classes = table.shape[axis]
    if classes < 2 or not bool(((labels >= 0) & (labels < classes)).all()):
        return None
    rows, values = _rows(table, axis), made.detach().double()
    if _sum_to_one(rows.exp()) and bool((rows <= _ROUNDING).all()):
        picked, logs = "logarithms", values
    elif _sum_to_one(rows) and bool((rows >= 0).all()):
        picked, logs = "probabilities", values.log()
    else:
        return None
    return Part(**_made(made, labels), minus_log=-float(logs.sum()), picked=picked, classes=classes)


def _made(made: Tensor, target: Tensor) -> dict[str, Any]:
    """What every part has."""
    node = made.grad_fn
    return {
        "node": node_number(node),
        "operation": operation_of(node),
        "shape": tuple(made.shape),
        "target": target,
        "version": version_of(target),
    }


def _with_constant(args: Sequence[Any], made: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The operand without a gradient, and the one with it, where both have the result's shape."""
    if len(args) == 2:
        for one, other in (args, args[::-1]):
            if (
                is_here(one)
                and is_here(other)
                and one.shape == other.shape == made.shape
                and other.requires_grad
                and not one.requires_grad
            ):
                return one, other
    return None, None


def _whole_numbers(value: Any) -> Tensor | None:
    if isinstance(value, range) or (
        isinstance(value, list) and all(type(one) is int for one in value)
    ):
        value = torch.tensor(list(value))
    if not is_here(value) or value.dtype not in {torch.int64, torch.int32}:
        return None
    return value


def _axis_of_classes(shares: Tensor, logs: Tensor) -> int | None:
    """Along which axis the targets sum to one, and the probabilities as well."""
    for axis in {shares.dim() - 1, 1} if shares.dim() > 1 else ():
        if shares.shape[axis] > 1 and _sum_to_one(shares.double().movedim(axis, -1)):
            return axis if _sum_to_one(_rows(logs, axis).exp()) else None
    return None


def _rows(table: Tensor, axis: int) -> Tensor:
    """Some rows of a table, the classes last: [n, C]."""
    return table.detach().movedim(axis, -1).flatten(0, -2)[:_ROWS].double()


def _sum_to_one(rows: Tensor) -> bool:
    return bool(((rows.sum(-1) - 1).abs() < _ROUNDING).all())
