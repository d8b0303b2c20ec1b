"""Losses that want logits get logits, not probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced
from gainstage.probe import graph
from gainstage.probe.arguments import looked_at

_CROSS_ENTROPY: Final = F.cross_entropy
"""Torch's own."""


@INTERVENTIONS.register("remove-softmax")
@contextmanager
def remove_softmax(*, keep_gradient: bool = False) -> Iterator[None]:
    """Take the logarithm of what a softmax gave before cross entropy sees it.

    To cross entropy that is the same as the logits: they differ by a constant for each sample.
    Likewise the logit of what a sigmoid gave, for binary cross entropy with logits.

    Args:
        keep_gradient: the loss has the value that it would have, but the gradient that the
            script gives it: what an unchanged training is measured by, to compare with.
    """
    with (
        replaced(F, "cross_entropy", _unwound("Softmax", _log, keep_gradient)),
        replaced(F, "binary_cross_entropy_with_logits", _unwound("Sigmoid", _logit, keep_gradient)),
    ):
        yield


@INTERVENTIONS.register("take-logarithm")
@contextmanager
def take_logarithm() -> Iterator[None]:
    """Take the logarithm of what a softmax gave before ``nll_loss`` sees it."""
    with replaced(F, "nll_loss", _unwound("Softmax", _log, keep_gradient=False)):
        yield


def _unwound(
    squash: str, undo: Callable[[Tensor], Tensor], keep_gradient: bool
) -> Callable[[Function], Function]:
    def make(loss: Function) -> Function:
        def wrapper(input: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002 - torch's name
            if not isinstance(input, Tensor) or not _is_squashed(input, squash):
                return loss(input, *args, **kwargs)
            wanted = loss(undo(input), *args, **kwargs)
            if not keep_gradient:
                return wanted
            with torch.no_grad():
                value = wanted.detach()
            own = loss(input, *args, **kwargs)
            return own + (value - own.detach())

        return wrapper

    return make


def _is_squashed(given: Tensor, squash: str) -> bool:
    """Whether a loss is given what a softmax, or a sigmoid, made; written out by hand, too."""
    if graph.made_by(given) == squash:
        return True
    return squash == "Softmax" and "squashed_twice" in looked_at(_CROSS_ENTROPY, given, given)


def _log(p: Tensor) -> Tensor:
    return p.clamp_min(torch.finfo(p.dtype).tiny).log()


def _logit(p: Tensor) -> Tensor:
    return torch.logit(p, eps=float(torch.finfo(p.dtype).eps))
