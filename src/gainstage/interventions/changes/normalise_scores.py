"""Scores become logarithms of probabilities before the loss that takes such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced


@INTERVENTIONS.register("normalise-scores")
@contextmanager
def normalise_scores() -> Iterator[None]:
    """Take ``log_softmax`` over the classes before ``nll_loss``; of such it changes nothing."""
    with replaced(F, "nll_loss", _normalised):
        yield


def _normalised(loss: Function) -> Function:
    def wrapper(input: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002 - torch's name
        if isinstance(input, Tensor) and input.dim():
            input = F.log_softmax(input, dim=min(1, input.dim() - 1))  # noqa: A001
        return loss(input, *args, **kwargs)

    return wrapper
