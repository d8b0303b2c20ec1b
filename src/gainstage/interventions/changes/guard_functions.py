"""Functions kept away from where they, or their gradients, are infinite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced

POSITIVE: Final = ("log", "log2", "log10", "sqrt", "rsqrt")
"""What is infinite, or infinitely steep, at zero."""

BOUNDED: Final = ("acos", "arccos", "asin", "arcsin", "atanh", "arctanh")
"""What is at one and minus one."""

DIVIDING: Final = ("div", "divide", "true_divide", "__truediv__")


@INTERVENTIONS.register("guard-functions")
@contextmanager
def guard_functions(least: float = 1e-7) -> Iterator[None]:
    """Keep what a logarithm, root, division or inverse cosine is taken of from its singular points.

    Beyond that its gradient is zero, and no longer infinite. A power below one is a root.

    Args:
        least: the smallest distance that is let through.
    """
    smallest, largest = least - 1, 1 - least
    guards: list[tuple[tuple[str, ...], Callable[[Function], Function]]] = [
        (POSITIVE, _first(lambda x: x.clamp_min(least))),
        (BOUNDED, _first(lambda x: x.clamp(smallest, largest))),
        (("log1p",), _first(lambda x: x.clamp_min(smallest))),
        (("reciprocal",), _first(lambda x: _away(x, least))),
        (DIVIDING, _second(lambda x: _away(x, least))),
        (("pow", "__pow__"), _rooted(lambda x: x.clamp_min(least))),
    ]
    with ExitStack() as stack:
        for names, make in guards:
            for owner in (torch, Tensor):
                for name in names:
                    if hasattr(owner, name):
                        stack.enter_context(replaced(owner, name, make))
        yield


def _away(x: Tensor, least: float) -> Tensor:
    """At least so far from zero, on either side of it."""
    nearest = torch.where(x < 0, -least, least).to(x.dtype)
    return torch.where(x.abs() < least, nearest, x)


def _first(guard: Callable[[Tensor], Tensor]) -> Callable[[Function], Function]:
    """Guard what a function is taken of."""

    def make(function: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given = (*args[:1], kwargs.get("input"))
            if not any(isinstance(x, Tensor) and x.is_floating_point() for x in given):
                return function(*args, **kwargs)
            named = {key: guard(x) if key == "input" else x for key, x in kwargs.items()}
            return function(*map(guard, args[:1]), *args[1:], **named)

        return wrapper

    return make


def _second(guard: Callable[[Tensor], Tensor]) -> Callable[[Function], Function]:
    """Guard what is divided by."""

    def make(function: Function) -> Function:
        def wrapper(x: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
            by_number = not (isinstance(other, Tensor) and other.is_floating_point())
            return function(x, other if by_number else guard(other), *args, **kwargs)

        return wrapper

    return make


def _rooted(guard: Callable[[Tensor], Tensor]) -> Callable[[Function], Function]:
    """Guard what a power that is a root is taken of."""

    def make(function: Function) -> Function:
        def wrapper(x: Any, exponent: Any, *args: Any, **kwargs: Any) -> Any:
            root = isinstance(exponent, float) and exponent < 1 and not exponent.is_integer()
            if root and isinstance(x, Tensor) and x.is_floating_point():
                x = guard(x)
            return function(x, exponent, *args, **kwargs)

        return wrapper

    return make
