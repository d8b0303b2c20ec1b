"""What a module is to a watch: a stage that is measured, a loss, or what only holds others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from gainstage.probe.naming import class_of

_OPS: Final = {
    "ReLU": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "GELU": "gelu",
    "SiLU": "silu",
}
"""Modules that are an activation carry the activation's name, as functional calls do."""

_MAKERS: Final = "parametrizations"
"""Where torch.nn.utils.parametrize keeps what makes a module's parameters."""


def op_of(module: nn.Module) -> str:
    """What a stage does: its class, or the activation that it is."""
    kind = class_of(module).__name__
    return _OPS.get(kind, kind)


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
    torchs_own = class_of(module).__module__.startswith("torch.nn.")
    return torchs_own or not any(next(c.parameters(), None) is not None for c in inner)


def holds_layers(module: nn.Module) -> bool:
    """Whether a user's module keeps several matrices (``self.w1``, ``self.w2``).

    Those by which its ``forward`` multiplies are layers of their own.
    """
    if class_of(module).__module__.startswith("torch.nn."):
        return False
    return sum(p.dim() >= 2 for p in module.parameters(recurse=False)) >= 2


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
