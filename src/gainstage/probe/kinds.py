"""What a module is to a watch: a stage that is measured, a loss, or what only holds others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized
from torch.utils import _pytree as pytree

from gainstage.probe.naming import class_of
from gainstage.sketch.reader import kind_of

_OPS: Final = {
    "ReLU": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "GELU": "gelu",
    "SiLU": "silu",
}
"""Modules that are an activation carry the activation's name, as functional calls do."""

_TORCHS: Final = "torch.nn."
_GENERAL: Final = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Bases that say nothing of what a module does."""

_MAKERS: Final = "parametrizations"
"""Where torch.nn.utils.parametrize keeps what makes a module's parameters."""


def op_of(module: nn.Module) -> str:
    """What a stage does: its class, or the activation that it is; of a derived class, torch's."""
    kind = class_of(module)
    if kind.__module__.startswith(_TORCHS):
        return _OPS.get(kind.__name__, kind.__name__)
    torchs = (base for base in kind.__mro__ if base.__module__.startswith(_TORCHS))
    base = next(torchs, nn.Module)
    name = kind.__name__ if base in _GENERAL else base.__name__
    return _OPS.get(name, name)


def is_stage(module: nn.Module) -> bool:
    """Whether a module is measured as a whole and stands for what it calls.

    A leaf is, and a module of torch with parameters of its own (attention), but not a user's
    model that keeps a bare parameter beside its blocks.
    """
    if isinstance(module, nn.ParameterList | nn.ParameterDict):
        return False
    if next(module.children(), None) is None or not (inner := list(parts(module))):
        return "Loss" not in type(module).__name__
    if isinstance(module, ParametrizationList) or not has_own_parameters(module):
        return False
    torchs_own = class_of(module).__module__.startswith(_TORCHS)
    return torchs_own or not any(next(c.parameters(), None) is not None for c in inner)


def matrices(module: nn.Module) -> int:
    """How many matrices a module keeps whose ``forward`` is the user's own.

    What that multiplies by them can be seen, whatever the module is called.
    """
    known = getattr(class_of(module).forward, "__module__", "")
    if known.startswith(_TORCHS):
        return 0
    return sum(p.dim() >= 2 for p in module.parameters(recurse=False))


def is_cell(inputs: Any) -> bool:
    """Whether a module is given a state beside its input: one step of a recurrence, a stage."""
    tensors = (x for x in inputs if isinstance(x, Tensor) and x.is_floating_point())
    return sum(1 for _ in tensors) > 1


def is_rectified(given: Any, output: Any) -> bool:
    """Whether an output is its input without what is below zero."""
    if not isinstance(given, Tensor) or not isinstance(output, Tensor):
        return False
    if not (kind_of(given) and kind_of(output)):  # their memory cannot be read
        return False
    if given.shape != output.shape or not bool((given < 0).any()):
        return False
    return torch.equal(given.clamp(min=0), output)


def is_criterion(module: nn.Module) -> bool:
    """Whether a module is a loss, which scripts also make anew at every step."""
    return "Loss" in type(module).__name__ and next(module.parameters(), None) is None


def has_own_parameters(module: nn.Module) -> bool:
    """Whether a module has parameters beside those of its children."""
    if next(module.parameters(recurse=False), None) is not None:
        return True
    makers = getattr(module, _MAKERS) if is_parametrized(module) else None
    return makers is not None and next(makers.parameters(), None) is not None


def parts(module: nn.Module) -> Iterator[nn.Module]:
    """The children of a module, without what ``torch.nn.utils.parametrize`` hangs on it.

    Those make a weight (weight_norm, spectral_norm) before the module uses it.
    """
    for name, child in module.named_children():
        if name != _MAKERS or not is_parametrized(module):
            yield child


def first_tensor(tree: Any) -> Tensor | None:
    """The first floating-point tensor of a nested output or input."""
    if isinstance(tree, Tensor):
        return tree if tree.is_floating_point() else None
    return next(
        (t for t in pytree.tree_leaves(tree) if isinstance(t, Tensor) and t.is_floating_point()),
        None,
    )
