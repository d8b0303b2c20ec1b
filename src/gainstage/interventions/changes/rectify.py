"""Rectifiers in the place of activations that saturate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from weakref import WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as global_module

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    Function,
    around_models,
    replaced,
    weighted_backwards,
)

_PRODUCTS: Final = tuple(
    (owner, name)
    for owner in (F, torch, Tensor)
    for name in ("linear", "matmul", "mm", "addmm", "bmm", "einsum", "__matmul__")
    if hasattr(owner, name)
)
"""What a layer written by hand is."""


@INTERVENTIONS.register("rectify")
@contextmanager
def rectify() -> Iterator[None]:
    """Let each sigmoid and tanh that feeds further layers be a ReLU.

    One that comes after the last layer makes the output, and stays. Which of the functional ones
    do is learnt from the pass before, in which they are told apart by their order; so the first
    one is as the script has it.
    """
    seen: WeakSet[nn.Module] = WeakSet()
    calls = _Calls()

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        calls.begin(id(root))
        if root not in seen:
            seen.add(root)
            _rectify_modules(root)

    def end(roots: list[Tensor]) -> float:
        del roots
        calls.begin(0)
        return 1.0

    def layer(module: nn.Module, inputs: Any) -> None:
        del inputs
        weight = module._parameters.get("weight")  # noqa: SLF001 - lazy ones raise otherwise
        if weight is not None and weight.dim() > 1:
            calls.layer()

    with ExitStack() as stack:
        stack.enter_context(around_models(before))
        stack.enter_context(weighted_backwards(end))
        stack.callback(global_module.register_module_forward_pre_hook(layer).remove)
        for owner, name in _PRODUCTS:
            stack.enter_context(replaced(owner, name, calls.product))
        for owner in (torch, Tensor):  # those of torch.nn.functional call the tensor's
            for name in ("tanh", "sigmoid"):
                stack.enter_context(replaced(owner, name, calls.rectified))
        yield


def _rectify_modules(root: nn.Module) -> None:
    waiting: list[nn.Module] = []
    for module in root.modules():
        if isinstance(module, (nn.Sigmoid, nn.Tanh)):
            waiting.append(module)
        elif isinstance(getattr(module, "weight", None), nn.Parameter):
            for activation in waiting:
                activation.forward = F.relu
            waiting = []


class _Calls:
    """Counts the squashing functions of a pass, and knows up to which one layers followed."""

    def __init__(self) -> None:
        self._place = self._count = 0
        self._hidden: defaultdict[int, int] = defaultdict(int)

    def begin(self, place: int) -> None:
        """A pass begins: of a model, or (0) of what lies outside of all."""
        self._place, self._count = place, 0

    def layer(self) -> None:
        """A layer is at work: what came before it is hidden."""
        self._hidden[self._place] = max(self._hidden[self._place], self._count)

    def product(self, function: Function) -> Function:
        """The function, which is a layer."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self.layer()
            return function(*args, **kwargs)

        return wrapper

    def rectified(self, squash: Function) -> Function:
        """The function with a rectifier in its place where it is a hidden one."""

        def wrapper(x: Any, *args: Any, **kwargs: Any) -> Any:
            self._count += 1
            hidden = self._count <= self._hidden[self._place]
            signal = isinstance(x, Tensor) and x.is_floating_point()
            return F.relu(x) if hidden and signal else squash(x, *args, **kwargs)

        return wrapper
