"""The autograd graph behind a loss: which leaves it reaches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from torch import Tensor

from gainstage.probe.ranks import local
from gainstage.sketch.elsewhere import is_elsewhere

MAX_NODES: Final = 200_000
"""Nodes looked at; a graph beyond that is walked in part."""

_NEAR_ROOT: Final = 512
"""Nodes within which a loss is looked for."""

_TAKES_SCORES: Final = {
    "LogSoftmax": "cross_entropy",
    "NllLoss": "nll_loss",
    "NllLoss2D": "nll_loss",
    "BinaryCrossEntropyWithLogits": "binary_cross_entropy_with_logits",
}
"""What takes raw scores, or log probabilities, and by which name its users know it."""

_SQUASHES: Final = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_PASSES_ON: Final = frozenset(
    {
        "View",
        "UnsafeView",
        "ReshapeAlias",
        "Transpose",
        "T",
        "Permute",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "Select",
        "Index",
        "Clone",
        "ToCopy",
        "Alias",
    }
)


_ARITHMETIC: Final = frozenset(
    {"Mean", "Sum", "Pow", "Abs", "Mul", "Div", "Add", "Neg", "Sqrt", "View", "Squeeze"}
    | {"Where", "Clamp", "ClampMin", "ClampMax", "Minimum", "Maximum"}
)
"""What makes a loss of differences."""

_DISTANCES: Final = {
    "Sub": "a difference",
    "MseLoss": "mse_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "HuberLoss": "huber_loss",
}
"""What compares a prediction with a target, and by which name its users know it."""


def leaves(roots: list[Tensor]) -> list[Tensor]:
    """The leaf tensors that a backward from `roots` will reach, in order of computation.

    Example:
        >>> import torch
        >>> w = torch.ones(2, requires_grad=True)
        >>> [leaf is w for leaf in leaves([(w * 3).sum()])]
        [True]
    """
    found: list[Tensor] = [r for r in roots if r.grad_fn is None and r.requires_grad]
    pending: list[Any] = [r.grad_fn for r in roots if r.grad_fn is not None]
    seen: set[Any] = set(pending)
    while pending and len(seen) < MAX_NODES:
        node = pending.pop()
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            found.append(variable)
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                pending.append(parent)
    return found[::-1]


def most_uses(roots: Sequence[Tensor]) -> int:
    """How often a backward from `roots` meets one and the same leaf of less than two axes.

    A simulation that is unrolled in time uses its constants at every step.

    Example:
        >>> import torch
        >>> r, x = torch.tensor(3.0, requires_grad=True), torch.tensor(0.5)
        >>> for _ in range(9):
        ...     x = r * x * (1 - x)
        >>> most_uses([x])
        9
    """
    pending: list[Any] = [r.grad_fn for r in roots if r.grad_fn is not None]
    seen: set[Any] = set(pending)
    uses: Counter[Any] = Counter()
    while pending and len(seen) < MAX_NODES:
        for parent, _ in pending.pop().next_functions:
            variable = getattr(parent, "variable", None)
            if isinstance(variable, Tensor) and variable.dim() < 2:
                uses[parent] += 1
            if parent is not None and parent not in seen:
                seen.add(parent)
                pending.append(parent)
    return max(uses.values(), default=0)


def shown(roots: Sequence[Tensor]) -> dict[str, Any]:
    """All that the graph behind a loss shows, by the facts' names.

    Args:
        roots: where the backward begins.
    """
    uses = most_uses(roots)
    return {**misfits(roots), **({"parameter_uses": uses} if uses > 1 else {})}


def misfits(roots: Sequence[Tensor]) -> dict[str, dict[str, str]]:
    """What the graph behind a loss shows of arguments that do not fit it, by the facts' names.

    Args:
        roots: where the backward begins.
    """
    found = {"squashed_twice": squashed_twice(roots), "broadcast": broadcast(roots)}
    return {name: told for name, told in found.items() if told}


def broadcast(roots: Sequence[Tensor]) -> dict[str, str]:
    """Whether a column was subtracted from a row, so that each meets every other.

    Args:
        roots: where the backward begins.

    Returns:
        ``loss``, ``input`` and ``target``, the shapes as text; empty if there is nothing of the
        kind. A parameter that all samples share is meant to be broadcast.

    Example:
        >>> import torch
        >>> w, x, y = torch.ones(3, 1, requires_grad=True), torch.ones(8, 3), torch.ones(8)
        >>> broadcast([(x @ w - y).square().mean()])
        {'loss': 'a difference', 'input': '8 x 1', 'target': '8'}
    """
    pending = [r.grad_fn for r in roots if r.grad_fn is not None]
    seen: set[Any] = set(pending)
    while pending and len(seen) < _NEAR_ROOT:
        node = pending.pop(0)
        name = operation_of(node)
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        if name in _DISTANCES and len(parents) == 1 and len(node.next_functions) == 2:
            told = _outer(name, node, parents[0])
            if told:
                return told
        new = [parent for parent in parents if parent not in seen]
        if name in _ARITHMETIC:
            seen.update(new)
            pending += new
    return {}


def _outer(name: str, node: Any, parent: Any) -> dict[str, str]:
    """The shapes, where a vector became a table by meeting a constant."""
    spread = parent if operation_of(parent) == "Expand" else node
    source = parent.next_functions[0][0] if spread is parent else parent
    shape, whole = _shape(source), _shape(spread)
    length = max(shape, default=0)
    vector = length > 1 and sorted(shape) in ([length], [1, length])
    if not vector or whole != (length, length) or operation_of(source).startswith("torch::"):
        return {}
    other = (length,) if shape == (length, 1) else (length, 1)
    told = [" x ".join(map(str, one)) for one in (shape, other)]
    return {"loss": _DISTANCES[name], "input": told[0], "target": told[1]}


def _shape(node: Any) -> tuple[int, ...]:
    """Of what a node computes; ``()`` where torch does not tell."""
    told = getattr(node, "_input_metadata", None)
    return tuple(told[0].shape) if told else ()


def squashed_twice(roots: Sequence[Tensor]) -> dict[str, str]:
    """Whether a loss that takes raw scores is given what a softmax or a sigmoid made of them.

    Args:
        roots: where the backward begins.

    Returns:
        ``loss`` and ``input``, the two functions; empty if there is nothing of the kind.

    Example:
        >>> import torch
        >>> scores = torch.randn(4, 3, requires_grad=True)
        >>> loss = torch.nn.functional.cross_entropy(scores.softmax(1), torch.arange(4) % 3)
        >>> squashed_twice([loss])
        {'loss': 'cross_entropy', 'input': 'softmax'}
    """
    pending = [r.grad_fn for r in roots if r.grad_fn is not None]
    seen: set[Any] = set(pending)
    while pending and len(seen) < _NEAR_ROOT:
        node = pending.pop(0)
        loss = _TAKES_SCORES.get(operation_of(node))
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        if loss is not None and parents:
            squash = _SQUASHES.get(operation_of(_without_views(parents[0])))
            if squash is not None and not (loss == "nll_loss" and squash == "sigmoid"):
                return {"loss": loss, "input": squash}
        for parent in parents:
            if parent not in seen:
                seen.add(parent)
                pending.append(parent)
    return {}


def made_by(tensor: Tensor) -> str:
    """What computed a tensor, behind views and copies: ``Softmax``; ``""`` for a leaf.

    Example:
        >>> import torch
        >>> made_by(torch.ones(2, 3, requires_grad=True).softmax(1).reshape(3, 2))
        'Softmax'
    """
    return "" if tensor.grad_fn is None else operation_of(_without_views(tensor.grad_fn))


def _without_views(node: Any) -> Any:
    """The node that computed what views and copies pass on."""
    while operation_of(node) in _PASSES_ON and node.next_functions and node.next_functions[0][0]:
        node = node.next_functions[0][0]
    return node


def operation_of(node: Any) -> str:
    """What a node of the graph computes: its class without the ending."""
    return str(node.name()).partition("Backward")[0]


def value_of(roots: Sequence[Tensor], weights: Any = None) -> float:
    """What a backward from `roots` minimises, as a number: their sum, weighted where they are.

    Args:
        roots: where the backward begins.
        weights: one gradient for all, one for each, or None.
    """
    if isinstance(weights, Tensor) or weights is None:
        weights = [weights] * len(roots)
    return sum(_scalar(root, weight) for root, weight in zip(roots, weights, strict=False))


def value_there(roots: Sequence[Tensor], weights: Any = None) -> Tensor | None:
    """The same of one loss on another device, where it stays: [1]; None for anything else."""
    if len(roots) != 1 or weights is not None:
        return None
    root = local(roots[0].detach())
    return root.reshape(1).clone() if root.numel() == 1 and is_elsewhere(root) else None


def _scalar(root: Tensor, weight: Tensor | None) -> float:
    if root.is_complex():  # its size has no sign
        return math.nan
    value = local(root.detach())
    return float((value if weight is None else value * weight.detach()).sum())
