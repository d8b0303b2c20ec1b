"""Activation functions that feed further layers, told apart from those that make the output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as global_module
from torch.nn.parameter import is_lazy

from gainstage.interventions.patching import Function, around_models, replaced, weighted_backwards

Answer: TypeAlias = Callable[[Function, Tensor], Any]

RECTIFIERS: Final = frozenset(
    {"relu", "relu_", "gelu", "silu", "mish", "elu", "selu", "leaky_relu", "relu6", "hardswish"}
)
"""Functions that hardly ever make an output."""

ACTIVATIONS: Final[Mapping[Any, Sequence[str]]] = {
    torch: ("relu", "relu_", "tanh", "sigmoid"),
    Tensor: ("relu", "tanh", "sigmoid"),  # as a statement, relu_ of a tensor answers nobody
    F: ("gelu", "silu", "mish", "elu", "selu", "leaky_relu", "relu6", "hardswish", "softplus"),
}
"""All of them, by the place from which modules, functions and methods alike come to them."""

_PRODUCTS: Final = tuple(
    (owner, name)
    for owner in (F, torch, Tensor)
    for name in (
        *("linear", "matmul", "mm", "addmm", "bmm", "einsum", "__matmul__"),
        *("conv1d", "conv2d", "conv3d"),
    )
    if hasattr(owner, name)
)
"""What a layer written by hand is."""


@contextmanager
def hidden_activations(
    names: Mapping[Any, Sequence[str]],
    answer: Answer,
    *,
    first: Container[str] = (),
    begin: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Answer in the place of those activation functions that further layers follow.

    Which do is learnt from the pass before, in which they are told apart by their order; so in
    the first one all are as the script has them, but for those that hardly ever make an output.

    Args:
        names: of the functions, by the module or class that has them.
        answer: from a function, with its further arguments, and its input to what is returned.
        first: names of those that are taken to be hidden in the first pass.
        begin: called when a pass begins.
    """
    calls = _Calls(answer, first)

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        calls.begin(id(root))
        begin()

    def end(roots: list[Tensor]) -> float:
        del roots
        calls.begin(0)
        begin()
        return 1.0

    def layer(module: nn.Module, inputs: Any) -> None:
        del inputs
        weight = module._parameters.get("weight")  # noqa: SLF001 - lazy ones raise otherwise
        if weight is not None and (is_lazy(weight) or weight.dim() > 1):
            calls.layer()

    with ExitStack() as stack:
        stack.enter_context(around_models(before))
        stack.enter_context(weighted_backwards(end))
        stack.callback(global_module.register_module_forward_pre_hook(layer).remove)
        for owner, name in _PRODUCTS:
            stack.enter_context(replaced(owner, name, calls.product))
        for owner, functions in names.items():
            for name in functions:
                stack.enter_context(replaced(owner, name, calls.activation))
        yield


class _Calls:
    """Counts the activation functions of a pass, and knows up to which one layers followed."""

    def __init__(self, answer: Answer, first: Container[str]) -> None:
        self._answer, self._first = answer, first
        self._known: set[int] = set()  # places of a first pass that is over
        self._place = self._count = 0
        self._hidden: defaultdict[int, int] = defaultdict(int)
        self._within = False  # one that calls another

    def begin(self, place: int) -> None:
        """A pass begins: of a model, or (0) of what lies outside of all."""
        self._known.add(self._place)
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

    def activation(self, function: Function) -> Function:
        """The function, answered for where it is a hidden one."""

        def wrapper(x: Any, *args: Any, **kwargs: Any) -> Any:
            if self._within or not (isinstance(x, Tensor) and x.is_floating_point()):
                return function(x, *args, **kwargs)
            self._count += 1
            self._within = True
            try:
                if self._is_hidden(function.__name__):
                    return self._answer(lambda y: function(y, *args, **kwargs), x)
                return function(x, *args, **kwargs)
            finally:
                self._within = False

        return wrapper

    def _is_hidden(self, name: str) -> bool:
        known = self._place in self._known
        return self._count <= self._hidden[self._place] or (not known and name in self._first)
