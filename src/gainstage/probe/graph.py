"""The autograd graph behind a loss: which leaves it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from torch import Tensor

from gainstage.probe.ranks import local

MAX_NODES: Final = 200_000
"""Nodes looked at; a graph beyond that is walked in part."""


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


def value_of(roots: Sequence[Tensor], weights: Any = None) -> float:
    """What a backward from `roots` minimises, as a number: their sum, weighted where they are.

    Args:
        roots: where the backward begins.
        weights: one gradient for all, one for each, or None.
    """
    if isinstance(weights, Tensor) or weights is None:
        weights = [weights] * len(roots)
    return sum(_scalar(root, weight) for root, weight in zip(roots, weights, strict=False))


def _scalar(root: Tensor, weight: Tensor | None) -> float:
    value = local(root.detach())
    if root.numel() == 1:
        return float(value)
    return float((value if weight is None else value * weight.detach()).sum())
