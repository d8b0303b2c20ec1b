"""Activations as functions of one variable: from a name, a module or any callable."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gainstage.errors import UnknownNameError, UsageError
from gainstage.theory.gains import GAINS

Function: TypeAlias = Callable[[Tensor], Tensor]

_REFUSED: Final = {
    "glu": "it multiplies one half of its input by a function of the other, so its level depends "
    "on two signals; for independent halves of variance 1 the product's second moment is that "
    "of the gate, E f(z)^2: ask for the gain of the gate's function",
    "softmax": "its outputs depend on each other and sum to 1; it is no activation of one variable",
    "normalization": "a normalisation sets the level itself: its gain is 1 over its input's level",
    "dropout": "what it drops is up to chance, and what is left is enlarged for it",
}

_WORDS: Final = {
    "GLU": "glu",
    "Softm": "softmax",
    "Norm": "normalization",
    "Dropout": "dropout",
}
"""In the names of modules that have no gain."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of one variable.

    Attributes:
        name: for people.
        function: elementwise, from a float64 tensor to one of its shape.
    """

    name: str
    function: Function

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at x: [m]."""
        with torch.no_grad():
            return np.asarray(self.function(torch.from_numpy(x)).numpy(), dtype=np.float64)

    def with_slope(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values and derivatives at x: [2, m]."""
        at = torch.from_numpy(x.copy()).requires_grad_()
        with torch.enable_grad():
            values = self.function(at)
            slopes = torch.zeros_like(at)
            if values.requires_grad:
                (slopes,) = torch.autograd.grad(values.sum(), at)
        return np.stack([values.detach().numpy(), slopes.numpy()])


def activation(given: str | nn.Module | Function, **parameters: Any) -> Activation:
    """Read an activation.

    Args:
        given: a name of :mod:`torch.nn.functional` (``"gelu"``, ``"leaky_relu"``; ``"linear"``
            is the identity), a module, or any elementwise callable.
        parameters: further arguments of a function that is given by name, such as
            ``negative_slope``.

    Raises:
        UnknownNameError: no activation has that name.
        UsageError: it is not a function of one variable: GLU, softmax, a normalisation.

    Example:
        >>> activation(nn.LeakyReLU(0.1))(np.array([-1.0, 1.0]))
        array([-0.1,  1. ])
        >>> activation("leaky_relu", negative_slope=0.1).name
        'leaky_relu(negative_slope=0.1)'
    """
    if isinstance(given, str):
        return _named(given, parameters)
    name = type(given).__name__ if isinstance(given, nn.Module) else _name_of(given)
    found = Activation(name, _of_module(given) if isinstance(given, nn.Module) else given)
    _check_elementwise(found)
    return found


def _named(name: str, parameters: dict[str, Any]) -> Activation:
    key = name.lower()
    if key in {"linear", "identity"}:
        return Activation("linear", lambda x: x)
    if "glu" in key or key in {"softmax", "log_softmax", "softmin"}:
        _refuse(name, "glu" if "glu" in key else "softmax")
    key = next((known for known in GAINS if known.replace("_", "") == key.replace("_", "")), key)
    if key not in GAINS:
        near = get_close_matches(key, GAINS, n=2)
        hint = (
            f"Did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"There are: {', '.join(GAINS)}; or give the function itself."
        )
        msg = f"There is no activation named {name!r}. {hint}"
        raise UnknownNameError(msg)
    function = getattr(F, key)
    told = ", ".join(
        f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in parameters.items()
    )
    found = Activation(f"{key}({told})" if told else key, lambda x: function(x, **parameters))
    _check_elementwise(found)
    return found


def _of_module(module: nn.Module) -> Function:
    """A module on float64, with what makes it other than a function of one variable taken out."""
    if isinstance(module, nn.PReLU):  # channels' slopes are mixed so that the energy is right
        slope = float(module.weight.detach().double().square().mean().sqrt())
        slope = math.copysign(slope, float(module.weight.detach().mean()))
        return lambda x: F.leaky_relu(x, slope)
    if isinstance(module, nn.RReLU):
        low, high = module.lower, module.upper
        slope = math.sqrt((low * low + low * high + high * high) / 3)
        return lambda x: F.leaky_relu(x, slope if module.training else (low + high) / 2)
    for word, reason in _WORDS.items():
        if word in type(module).__name__:
            _refuse(type(module).__name__, reason)
    return copy.deepcopy(module).double().cpu()


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _refuse(name: str, reason: str) -> None:
    msg = f"{name} has no gain: {_REFUSED[reason]}."
    raise UsageError(msg)


def _check_elementwise(found: Activation) -> None:
    """Raise unless a value depends on its own argument alone, and on nothing random."""
    x = np.linspace(-2.0, 2.0, 8)
    order = np.array([3, 0, 6, 1, 7, 2, 5, 4])
    try:
        with torch.random.fork_rng(devices=[]):  # what draws may be among what is refused
            straight, mixed = found(x), found(x[order])
            alone = found(x[:1])
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        msg = f"{found.name} cannot be applied to a vector of float64 ({error}): it has no gain."
        raise UsageError(msg) from error
    same = straight.shape == x.shape and alone.shape == (1,)
    if not (
        same
        and np.allclose(straight[order], mixed, equal_nan=True)
        and np.allclose(straight[:1], alone, equal_nan=True)
    ):
        msg = (
            f"{found.name} is not elementwise (a value depends on others, or on chance), "
            "so it has no gain."
        )
        raise UsageError(msg)
