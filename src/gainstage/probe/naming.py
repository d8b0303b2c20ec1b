"""What the user calls things: modules by their path, tensors by the variables that hold them."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_OURS: Final = f"{Path(__file__).resolve().parent.parent}{os.sep}"
_TORCH: Final = str(Path(torch.__file__).resolve().parent)
_WRAPPERS: Final = re.compile(
    r"(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.|$)"
)
_PARALLEL: Final = frozenset({"DistributedDataParallel", "DataParallel"})
_DEPTH: Final = 12
_CONTAINED: Final = 4096
_HELD_BY_FRAME: Final = 3
"""References to a frame's dictionary: its own, ours, and that of the question for their number."""


def clean(path: str) -> str:
    """A module path without the wrappers that compilation, sharding and checkpointing add.

    Example:
        >>> clean("_orig_mod.layers.0"), clean("layers._checkpoint_wrapped_module.1")
        ('layers.0', 'layers.1')
    """
    return _WRAPPERS.sub("", path).lstrip(".")


def paths(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of a tree with their paths, as ``named_modules`` has them without wrappers.

    ``DistributedDataParallel`` holds the user's model as ``module``; a module that a user called
    so keeps its name.
    """
    known: dict[str, str] = {}
    wrappers: set[str] = set()
    for raw, module in root.named_modules():
        parent, _, key = raw.rpartition(".")
        inner = key == "module" and parent in wrappers
        known[raw] = known.get(parent, "") if inner or not raw else _join(known[parent], key)
        if type(module).__name__ in _PARALLEL:
            wrappers.add(raw)
        yield clean(known[raw]), module


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def class_of(module: nn.Module) -> type[nn.Module]:
    """The class that the user chose: ``fully_shard`` makes an ``FSDPLinear`` of a ``Linear``.

    So does ``torch.nn.utils.parametrize`` a ``ParametrizedLinear``.
    """
    bases = type(module).__bases__
    if type(module).__name__.startswith("Parametrized") and is_parametrized(module):
        return bases[0]
    sharded = len(bases) > 1 and any(base.__name__ == "FSDPModule" for base in bases)
    return bases[-1] if sharded else type(module)


def user_frames() -> Iterator[FrameType]:
    """The frames of the user's own code, innermost first."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame
    seen = 0
    while frame is not None and seen < _DEPTH:
        file = frame.f_code.co_filename
        if not file.startswith((_OURS, _TORCH, "<frozen")):
            seen += 1
            yield frame
        frame = frame.f_back


def _scopes() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Namespaces in which a user's things have names, nearest first, each once: (prefix, names)."""
    done: set[int] = set()
    for frame in user_frames():
        function = frame.f_code.co_flags & inspect.CO_OPTIMIZED
        local = _locals_of(frame) if function else frame.f_locals
        spaces: list[tuple[str, Any]] = [("", local)]
        owner = local.get("self")
        if owner is not None and type(owner).__dictoffset__ != 0:
            spaces.append(("self.", vars(owner)))
        if frame.f_globals is not local:
            spaces.append(("", frame.f_globals))
        for prefix, names in spaces:
            if id(names) not in done:
                done.add(id(names))
                yield prefix, dict(names)


def _locals_of(frame: FrameType) -> Mapping[str, Any]:
    """A copy of a function's variables, none of which stays alive for having been asked for.

    Up to Python 3.12 its frame keeps the dictionary that it was asked for, and with it
    what the user deletes. It is emptied, unless the user has it too (by ``locals()``).
    """
    kept = frame.f_locals
    local = dict(kept)
    if isinstance(kept, dict) and sys.getrefcount(kept) <= _HELD_BY_FRAME:
        kept.clear()
    return local


def name_tensors(tensors: Sequence[Tensor]) -> dict[int, str]:
    """Names for tensors by the variables that hold them: ``W1``, ``self.C``, ``params[3]``.

    A variable's own name is preferred. Where only some members of a list have one (the loop
    variable that happens to hold the last), all its members are named by their place in it.

    Args:
        tensors: parameters of a model without modules.

    Returns:
        Name by ``id(tensor)``; a tensor that no visible variable holds is missing.
    """
    wanted = {id(t) for t in tensors}
    direct: dict[int, str] = {}
    inside: dict[int, str] = {}
    groups: list[list[int]] = []
    for prefix, names in _scopes():
        for key, value in names.items():
            if key.startswith("__"):
                continue
            if isinstance(value, Tensor):
                if id(value) in wanted:
                    direct.setdefault(id(value), prefix + key)
            else:
                members = _members(value, prefix + key, wanted)
                groups.append([ident for ident, _ in members])
                for ident, name in members:
                    inside.setdefault(ident, name)
    for group in groups:
        if len(group) > 1 and not all(ident in direct for ident in group):
            for ident in group:
                direct.pop(ident, None)
    return inside | direct


def _members(value: Any, name: str, wanted: set[int], depth: int = 2) -> list[tuple[int, str]]:
    """The wanted tensors inside a container or plain object, with their names there."""
    if isinstance(value, dict):  # no other mapping: to look may mean to load
        entries = [(f"{name}[{key!r}]", item) for key, item in list(value.items())[:_CONTAINED]]
    elif isinstance(value, (list, tuple)):
        entries = [(f"{name}[{i}]", item) for i, item in enumerate(value[:_CONTAINED])]
    elif _is_plain_object(value):
        entries = [(f"{name}.{key}", item) for key, item in list(vars(value).items())]
    else:
        return []
    found: list[tuple[int, str]] = []
    for label, item in entries:
        if isinstance(item, Tensor):
            if id(item) in wanted:
                found.append((id(item), label))
        elif depth:
            found.extend(_members(item, label, wanted, depth - 1))
    return found


def _is_plain_object(value: Any) -> bool:
    module = type(value).__module__
    return (
        type(value).__dictoffset__ != 0  # asking the object itself might run its __getattr__
        and not isinstance(value, (type, nn.Module))
        and module.partition(".")[0] not in {"builtins", "torch", "numpy", "sys", "gainstage"}
        and type(value).__name__ not in {"module", "function"}
    )


def enclosing_module(module: nn.Module) -> tuple[nn.Module, str, bool]:
    """The outermost visible module that contains `module`, its variable, and whether it is alone.

    Returns:
        The root module, the name of the variable that holds it (``""`` if none is visible), and
        whether no other module with parameters is visible beside it (then names need no prefix).
    """
    roots: dict[int, tuple[nn.Module, str]] = {}
    for prefix, names in _scopes():
        for key, value in names.items():
            if isinstance(value, nn.Module) and id(value) not in roots and key != "self":
                roots[id(value)] = (value, prefix + key)
    holding = [(m, name) for m, name in roots.values() if any(x is module for x in m.modules())]
    best, name = max(holding, key=lambda pair: _size(pair[0]), default=(module, ""))
    inside = {id(m) for m in best.modules()}
    others = [m for m, _ in roots.values() if id(m) not in inside and _has_parameters(m)]
    return best, name.removeprefix("self."), not others


def in_plain_container(
    owners: Iterable[nn.Module], module: nn.Module
) -> tuple[nn.Module, str, str]:
    """Who of some modules holds another in a plain list, tuple or dictionary.

    Torch does not see into those: what is in them is not among the owner's parameters.

    Args:
        owners: outermost first.
        module: what is looked for.

    Returns:
        The owner, the name of its container, and the key in that; empty names if nobody does.

    Example:
        >>> model, layer = nn.Module(), nn.ReLU()
        >>> model.layers = [nn.Tanh(), layer]
        >>> in_plain_container([model], layer)[1:]
        ('layers', '1')
    """
    for owner in reversed(list(owners)):
        for name, held in vars(owner).items():
            if name.startswith("_") or not isinstance(held, list | tuple | dict):
                continue
            if len(held) > _CONTAINED:  # data, which would take long to look through
                continue
            for key, value in held.items() if isinstance(held, dict) else enumerate(held):
                if value is module:
                    return owner, name, str(key)
    return module, "", ""


def _size(module: nn.Module) -> int:
    return sum(1 for _ in module.modules())


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
