"""What the function tap reports to: all that it sees, or nothing but losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from gainstage.probe.criterion import Criterion
from gainstage.probe.guard import Guard

Function = Callable[..., Any]


class Listener(Protocol):
    """What the function tap reports to, under its guard."""

    guard: Guard
    criterion: Criterion

    def function_output(self, op: str, tensor: Tensor) -> None:
        """An activation, a norm or attention returned `tensor`."""

    def product_output(self, op: str, parameter: Tensor, tensor: Tensor, args: Any) -> None:
        """A product with a bare parameter returned `tensor`."""

    def loss_output(self, function: Function, args: Any, kwargs: Any, tensor: Tensor) -> None:
        """A loss function returned `tensor`."""

    def inside_module(self) -> bool:
        """Whether a measured module is running, which stands for what it calls."""


class OnlyLosses:
    """Stands for a listener that wants to know of loss functions and of nothing else."""

    def __init__(self, listener: Listener) -> None:
        self.guard = listener.guard
        self.criterion = listener.criterion
        self.loss_output = listener.loss_output

    def function_output(self, op: str, tensor: Tensor) -> None:
        """Not wanted."""

    def product_output(self, op: str, parameter: Tensor, tensor: Tensor, args: Any) -> None:
        """Not wanted."""

    def inside_module(self) -> bool:
        """As if some module stood for every call."""
        return True
