"""No gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import replaced


@INTERVENTIONS.register("unclip")
@contextmanager
def unclip() -> Iterator[None]:
    """Let ``clip_grad_norm_`` only measure the norm, and ``clip_grad_value_`` do nothing."""
    with ExitStack() as stack:
        for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
            stack.enter_context(replaced(owner, "clip_grad_norm_", _unbounded))
            stack.enter_context(replaced(owner, "clip_grad_value_", lambda _: _nothing))
        yield


def _unbounded(clip: Any) -> Any:
    def measure(parameters: Any, max_norm: float = math.inf, *args: Any, **kwargs: Any) -> Any:
        del max_norm
        return clip(parameters, math.inf, *args, **kwargs)

    return measure


def _nothing(*_: Any, **__: Any) -> None:
    return None
