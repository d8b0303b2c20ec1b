"""Torch's fast paths of attention, which it takes only where no function mode is active.

They are for evaluation: no gradient comes back, so there is nothing to see on them. And they do
not come to the same as the slow path: of a padded place they return zero. So where torch may take
one, the function tap steps aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, Final

import torch
from torch import Tensor, nn

from gainstage.probe.wrappers import Installation, Patch
from gainstage.torch_private import put_function_modes, take_function_modes


def _forward(here: Installation) -> Callable[..., Any]:
    aside, back, is_compiling = _step_aside, _step_back, torch.compiler.is_compiling

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        taps = here.listeners
        if not taps or self.training or is_compiling():
            return here.original(self, *args, **kwargs)
        shield = taps[0].guard.shield
        modes = shield("function", aside, taps, self, args, kwargs)
        if modes is None:
            return here.original(self, *args, **kwargs)
        try:
            return here.original(self, *args, **kwargs)
        finally:
            shield("function", back, modes)

    # torch.jit.script reads the original's source, and looks names up among the wrapper's globals
    names = getattr(here.original, "__globals__", globals())
    return FunctionType(forward.__code__, names, "forward", None, forward.__closure__)


def _step_aside(
    taps: Sequence[Any], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Any] | None:
    """Take taps off this thread's modes; which modes there were, None where a gradient will come.

    Args:
        taps: those that step aside.
        module: what is called.
        args: what it is called with.
        kwargs: likewise, by name.
    """
    if torch.is_grad_enabled():
        given = (x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        if any(x.requires_grad for x in (*module.parameters(), *given)):
            return None
    modes = take_function_modes()
    put_function_modes([mode for mode in modes if not any(mode is tap for tap in taps)])
    return modes


def _step_back(modes: list[Any]) -> None:
    take_function_modes()
    put_function_modes(modes)


PATCHES: Final = tuple(
    Patch(kind, "forward", _forward)
    for kind in (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
)
