"""``torch.jit.script`` compiles the hooks of a module with it; ours are none of its business."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch
from torch import nn

from gainstage.probe.wrappers import Installation, Patch

_Hooks: TypeAlias = list[tuple[dict[int, Any], dict[int, Any]]]


class Unscripted:
    """A hook that is not there while its module is scripted."""


def _script(here: Installation) -> Callable[..., Any]:
    def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) < 2:  # where a class is from is found by counting frames: one more is ours
            kwargs["_frames_up"] = kwargs.get("_frames_up", 0) + 1
        else:
            args = (args[0], args[1] + 1, *args[2:])
        shield = here.listeners[0].guard.shield if here.listeners else None
        hooks = shield("module", _hide, obj) if shield else None
        try:
            return here.original(obj, *args, **kwargs)
        finally:
            if shield and hooks:
                shield("module", _put_back, hooks)

    return script


def _hide(module: Any) -> _Hooks:
    """Take our hooks off a module and those in it; what to put back."""
    found: _Hooks = []
    for one in module.modules() if isinstance(module, nn.Module) else ():
        for hooks in (one._forward_hooks, one._forward_pre_hooks):  # noqa: SLF001 - no other way
            if any(isinstance(hook, Unscripted) for hook in hooks.values()):
                found.append((hooks, dict(hooks)))
    for hooks, were in found:
        for key, hook in were.items():
            if isinstance(hook, Unscripted):
                del hooks[key]
    return found


def _put_back(found: _Hooks) -> None:
    for hooks, were in found:
        hooks.clear()
        hooks.update(were)


SCRIPT: Final = Patch(torch.jit, "script", _script)
