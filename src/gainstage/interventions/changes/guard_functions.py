"""Logarithms and roots that stay finite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced

GUARDED: Final = ("log", "log2", "log10", "sqrt", "rsqrt")


@INTERVENTIONS.register("guard-functions")
@contextmanager
def guard_functions(least: float = 1e-7) -> Iterator[None]:
    """Keep what a logarithm or a root is taken of away from zero.

    Below that its gradient is zero as well, and no longer infinite.

    Args:
        least: the smallest that is let through.
    """

    def guarded(x: Any) -> Any:
        return x.clamp_min(least) if isinstance(x, Tensor) and x.is_floating_point() else x

    def make(function: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            named = {key: guarded(x) if key == "input" else x for key, x in kwargs.items()}
            return function(*map(guarded, args[:1]), *args[1:], **named)

        return wrapper

    with ExitStack() as stack:
        for owner in (torch, Tensor):
            for name in GUARDED:
                stack.enter_context(replaced(owner, name, make))
        yield
