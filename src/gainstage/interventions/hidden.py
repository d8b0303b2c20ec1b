"""Activation functions that feed further layers, told apart from those that make the output."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as global_module
from torch.nn.parameter import is_lazy

from gainstage.errors import UsageError
from gainstage.interventions.patching import Function, around_models, replaced, weighted_backwards
from gainstage.torch_private import inside_backward

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
) -> Iterator[Pass]:
    """Answer in the place of those activation functions that further layers follow.

    Which do is learnt from the pass before, in which they are told apart by their order; so in
    the first one all are as the script has them, but for those that hardly ever make an output. A
    pass is one of a model that is made of others, or all that the script computes besides up to
    its backward pass.

    Args:
        names: of the functions, by the module or class that has them.
        answer: from a function, with its further arguments, and its input to what is returned.
        first: names of those that are taken to be hidden in the first pass.
        begin: called when a pass begins.

    Raises:
        UsageError: a part of a pass is computed again within the backward pass (activation
            checkpointing), where its place is not known.
    """
    calls = Pass(answer, first, begin)

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        if any(True for _ in root.children()):  # a single layer is part of the script's own pass
            calls.begin(root)

    def end(roots: list[Tensor]) -> float:
        del roots
        calls.begin(None)
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
        yield calls


class Pass:
    """Counts the activation functions of a pass, and knows up to which one layers followed.

    Attributes:
        convolved: the last layer was a convolution.
    """

    def __init__(
        self, answer: Answer, first: Container[str], begin: Callable[[], None] = lambda: None
    ) -> None:
        self.convolved = False
        self._answer, self._first, self._begin = answer, first, begin
        self._learning = True
        self._script = nn.Module()  # stands for all that no model of several layers computes
        self._place, self._count = self._script, 0
        self._hidden: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
        self._known: WeakSet[nn.Module] = WeakSet()  # whose first pass is over
        self._within = False  # one that calls another

    def begin(self, model: nn.Module | None) -> None:
        """A pass begins: of a model, or of what lies outside of all."""
        self._known.add(self._place)
        self._place = self._script if model is None else model
        self._count = 0
        self._begin()

    def layer(self) -> None:
        """A layer is at work: what came before it is hidden."""
        self._turn()
        if self._learning:  # an evaluation may be of several passes
            self._hidden[self._place] = max(self._hidden.get(self._place, 0), self._count)

    def product(self, function: Function) -> Function:
        """The function, which is a layer."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self.layer()
            self.convolved = function.__name__.startswith("conv")
            return function(*args, **kwargs)

        return wrapper

    def activation(self, function: Function) -> Function:
        """The function, answered for where it is a hidden one."""
        name = function.__name__

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not args and "input" in kwargs:
                args = (kwargs.pop("input"),)
            x, *rest = args or (None,)
            if self._within or not (isinstance(x, Tensor) and x.is_floating_point()):
                return function(*args, **kwargs)
            self._turn()
            self._count += 1
            self._within = True
            try:
                if not self._is_hidden(name):
                    return function(*args, **kwargs)
                if inside_backward():
                    msg = "A part of the network is computed again in the backward pass."
                    raise UsageError(msg)
                if not name.endswith("_"):
                    return self._answer(lambda y: function(y, *rest, **kwargs), x)
                # in place: the script may go on with what it gave
                return x.copy_(self._answer(lambda y: function(y, *rest, **kwargs), x.clone()))
            finally:
                self._within = False

        return wrapper

    def _turn(self) -> None:
        """An evaluation by the script itself, and what it trains by after it, are passes too."""
        learning = torch.is_grad_enabled()
        if learning is not self._learning and self._place is self._script:
            self._count = 0
            self._begin()
        self._learning = learning

    def _is_hidden(self, name: str) -> bool:
        known = self._place in self._known
        hidden = self._count <= self._hidden.get(self._place, 0)
        return hidden or (not known and name in self._first)
