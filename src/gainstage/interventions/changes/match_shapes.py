"""Targets take the shape of the predictions they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import DISTANCES, Function, replaced


@INTERVENTIONS.register("match-shapes")
@contextmanager
def match_shapes() -> Iterator[None]:
    """Where as many targets as predictions come in another shape, bring them into theirs."""
    with ExitStack() as stack:
        for name in DISTANCES:
            stack.enter_context(replaced(F, name, _matched))
        yield


def _matched(loss: Function) -> Function:
    def wrapper(input: Any, target: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002 - torch's
        tensors = isinstance(input, Tensor) and isinstance(target, Tensor)
        if tensors and input.shape != target.shape and input.numel() == target.numel():
            target = target.reshape(input.shape)
        return loss(input, target, *args, **kwargs)

    return wrapper
