"""Thirty-two bits wherever the script asks for sixteen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import replaced

SIXTEEN: Final = frozenset({torch.float16, torch.bfloat16})


@INTERVENTIONS.register("full-precision")
@contextmanager
def full_precision() -> Iterator[None]:
    """Let every tensor that would be of sixteen bits be float32, and autocast do nothing.

    Loss scaling stays, and does no harm.
    """

    def init(original: Callable[..., None]) -> Callable[..., None]:
        def wrapper(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
            original(self, device_type, *args, **kwargs)
            self._enabled = False

        return wrapper

    with replaced(torch.autocast, "__init__", init), _Wide():
        yield


class _Wide(TorchFunctionMode):
    """Calls torch with float32 where it is called with float16 or bfloat16."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        if func in (Tensor.half, Tensor.bfloat16):
            func = Tensor.float
        named = {key: _wide(value) for key, value in (kwargs or {}).items()}
        return func(*map(_wide, args), **named)


def _wide(value: Any) -> Any:
    return torch.float32 if isinstance(value, torch.dtype) and value in SIXTEEN else value
