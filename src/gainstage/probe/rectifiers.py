"""Rectifiers that are written by hand: ``torch.where(x > 0, x, 0)``, ``x * (x > 0)``."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

Function = Callable[..., Any]

COMPARISONS: Final[frozenset[Function]] = frozenset(
    {torch.gt, torch.ge, Tensor.gt, Tensor.ge, Tensor.__gt__, Tensor.__ge__}
)
CASTS: Final[frozenset[Function]] = frozenset({Tensor.float, Tensor.to, Tensor.type, Tensor.double})
CHOICES: Final[frozenset[Function]] = frozenset({torch.where})
MAXIMA: Final[frozenset[Function]] = frozenset(
    {torch.maximum, torch.max, torch.fmax, Tensor.maximum, Tensor.max, Tensor.fmax}
)
PRODUCTS: Final[frozenset[Function]] = frozenset({torch.mul, Tensor.mul, Tensor.__mul__})
ALL: Final = COMPARISONS | CASTS | CHOICES | MAXIMA | PRODUCTS

_REMEMBERED: Final = 256


class Rectifiers:
    """Remembers where a signal was compared with zero, until it is multiplied by the answer.

    Example:
        >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
        >>> sign, found = x > 0, Rectifiers()
        >>> found.compared((x, 0), sign)
        >>> found.is_rectified(torch.where, (sign, x, 0.0))
        True
        >>> found.is_rectified(torch.where, (sign, x, 0.1 * x))
        False
    """

    def __init__(self) -> None:
        self._signs: dict[int, tuple[weakref.ref[Tensor], weakref.ref[Tensor]]] = {}

    def compared(self, args: Any, result: Tensor) -> None:
        """A signal was compared with something."""
        if len(args) == 2 and isinstance(args[0], Tensor) and _is_zero(args[1]):
            if len(self._signs) >= _REMEMBERED:
                self._signs.clear()
            self._signs[id(result)] = weakref.ref(result), weakref.ref(args[0])

    def cast(self, args: Any, result: Tensor) -> None:
        """A tensor became one of another type."""
        signal = self._compared_signal(args[0]) if args else None
        if signal is not None:
            self._signs[id(result)] = weakref.ref(result), weakref.ref(signal)

    def is_rectified(self, func: Function, args: Any) -> bool:
        """Whether a choice, a product or a maximum leaves what is above zero of a signal."""
        if func in CHOICES:
            if len(args) != 3:
                return False
            signal = self._compared_signal(args[0])
            return signal is not None and signal is args[1] and _is_zero(args[2])
        if len(args) != 2:
            return False
        for one, other in (args, args[::-1]):
            if not isinstance(one, Tensor) or not one.requires_grad:
                continue
            if func in MAXIMA:
                if isinstance(other, Tensor) and not other.requires_grad and _is_zero(other):
                    return True
            elif self._compared_signal(other) is one:
                return True
        return False

    def _compared_signal(self, sign: Any) -> Tensor | None:
        held = self._signs.get(id(sign))
        return held[1]() if held is not None and held[0]() is sign else None


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.detach().count_nonzero())
    return isinstance(value, (int, float)) and value == 0
