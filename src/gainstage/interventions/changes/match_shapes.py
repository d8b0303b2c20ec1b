"""Targets take the shape of the predictions they belong to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import DISTANCES, Function, replaced

_DIFFERENCES: Final = tuple(
    (owner, name)
    for owner in (torch, Tensor)
    for name in ("sub", "subtract", "rsub", "__sub__")
    if hasattr(owner, name)
)
"""What stands behind ``a - b`` and its other spellings."""


@INTERVENTIONS.register("match-shapes")
@contextmanager
def match_shapes() -> Iterator[None]:
    """Where as many targets as predictions come in another shape, bring them into theirs.

    Of a difference taken by hand, the predictions are what has a gradient, and the targets what
    has none; it must be one that broadcasting would make a table of.
    """
    with ExitStack() as stack:
        for name in DISTANCES:
            stack.enter_context(replaced(F, name, _matched))
        for owner, name in _DIFFERENCES:
            stack.enter_context(replaced(owner, name, _aligned))
        yield


def _matched(loss: Function) -> Function:
    def wrapper(input: Any, target: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002 - torch's
        tensors = isinstance(input, Tensor) and isinstance(target, Tensor)
        if tensors and input.shape != target.shape and input.numel() == target.numel():
            target = target.reshape(input.shape)
        return loss(input, target, *args, **kwargs)

    return wrapper


def _aligned(subtract: Function) -> Function:
    def wrapper(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        if _makes_a_table(a, b):
            a, b = (a, b.reshape(a.shape)) if a.requires_grad else (a.reshape(b.shape), b)
        return subtract(a, b, *args, **kwargs)

    return wrapper


def _makes_a_table(a: Any, b: Any) -> bool:
    """Whether one is predictions, the other as many targets, and they meet each with each."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a.requires_grad == b.requires_grad:
        return False
    if a.shape == b.shape or a.numel() != b.numel():
        return False
    try:
        table = np.broadcast_shapes(tuple(a.shape), tuple(b.shape))
    except ValueError:  # they do not meet at all, as the script is about to learn
        return False
    return bool(math.prod(table) > a.numel())
