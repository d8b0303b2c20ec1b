"""A tape of one forward pass: which function made which tensor of which, and at what level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from gainstage.errors import UsageError
from gainstage.init.layers import check_values
from gainstage.probe.profile import as_it_was, output_of
from gainstage.torch_private import without_overrides


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands for a tensor that a node made, in the arguments of a later one."""

    index: int


@dataclass(eq=False, slots=True)
class Node:
    """One tensor of the forward pass and the call that made it.

    Attributes:
        index: position on the tape.
        function: what was called; None for an input of the model and for what no call was seen of.
        args: positional arguments; tensors that depend on the model's input are a :class:`Ref`.
        kwargs: keyword arguments, likewise.
        item: which of the call's results it is, where it returned several.
        module: path of the innermost module that made the call.
        owner: that module.
        shape: of the tensor.
        mean: measured; NaN for integers.
        rms: measured.
        grad: measured rms of the loss's gradient, NaN where none came.
    """

    index: int
    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    item: int
    module: str
    owner: nn.Module | None
    shape: tuple[int, ...]
    mean: float = float("nan")
    rms: float = float("nan")
    grad: float = float("nan")

    @property
    def op(self) -> str:
        """Name of the function, without underscores before or behind it; ``"input"`` if none."""
        if self.function is None:
            return "input"
        name = str(getattr(self.function, "__name__", type(self.function).__name__))
        if name == "__get__":  # a property such as ``x.T``
            name = str(getattr(getattr(self.function, "__self__", None), "__name__", name))
        return name.strip("_")

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the nodes that it was made of."""
        flat = pytree.tree_leaves((self.args, self.kwargs))
        return tuple(leaf.index for leaf in flat if isinstance(leaf, Ref))


@dataclass(slots=True)
class Tape:
    """What was called in a forward pass, in order.

    Attributes:
        nodes: one for each tensor that depends on the input.
        outputs: indices of the tensors that the model returned, in order; None for one that was
            not made of the input by a call that was seen.
        names: name of each node, as the user would call the place.
    """

    nodes: list[Node] = field(default_factory=list)
    outputs: tuple[int | None, ...] = ()
    names: list[str] = field(default_factory=list)


class Recorder(TorchFunctionMode):
    """Records calls on a tape while active.

    Args:
        measure: read the level of each tensor, and of its gradient when that comes.
    """

    def __init__(self, *, measure: bool = True) -> None:
        super().__init__()
        self.tape = Tape()
        self._measure = measure
        self._made: dict[int, tuple[Tensor, int]] = {}  # keeps the tensors, and so their ids
        self._constants: dict[int, Tensor] = {}  # made of parameters alone
        self._modules: list[tuple[str, nn.Module]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, then put what it made on the tape."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        tensors = [result] if isinstance(result, Tensor) else _tensors(result)
        if tensors:
            with without_overrides():  # what we do is not on the tape
                self._record(func, args, kwargs, tensors)
        return result

    def _record(self, func: Any, args: Any, kwargs: Any, results: list[Tensor]) -> None:
        given = pytree.tree_map(self._ref, (tuple(args), dict(kwargs)))
        if not any(isinstance(leaf, Ref) for leaf in pytree.tree_leaves(given)):
            self._constants.update((id(tensor), tensor) for tensor in results)
            return
        for item, tensor in enumerate(results):
            self.add(tensor, func, given[0], given[1], item)

    def _ref(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        known = self._made.get(id(leaf))
        if known is None and leaf.grad_fn is not None and id(leaf) not in self._constants:
            return Ref(self.add(leaf, None, (), {}, 0).index)  # made where no call is seen
        return leaf if known is None else Ref(known[1])

    def add(
        self, tensor: Tensor, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], item: int
    ) -> Node:
        """Put a tensor on the tape."""
        path, owner = self._modules[-1] if self._modules else ("", None)
        index = len(self.tape.nodes)
        node = Node(index, func, args, kwargs, item, path, owner, tuple(tensor.shape))
        self._made[id(tensor)] = (tensor, index)
        if self._measure and tensor.is_floating_point() and tensor.numel():
            wide = tensor.detach().double()
            node.mean, node.rms = float(wide.mean()), float(wide.square().mean().sqrt())
            if tensor.requires_grad:
                tensor.register_hook(  # type: ignore[no-untyped-call]
                    lambda grad: _note(node, grad)
                )
        self.tape.nodes.append(node)
        return node

    def index_of(self, tensor: Tensor) -> int | None:
        """The node that made a tensor."""
        known = self._made.get(id(tensor))
        return known[1] if known else None

    @contextmanager
    def inside(self, model: nn.Module) -> Iterator[None]:
        """Know which of a model's modules makes a call."""
        with ExitStack() as stack:
            for path, module in model.named_modules():
                enter = module.register_forward_pre_hook(
                    lambda m, *_, path=path: self._modules.append((path, m))
                )
                leave = module.register_forward_hook(
                    lambda *_: self._modules.pop() and None, always_call=True
                )
                stack.callback(enter.remove)
                stack.callback(leave.remove)
            yield


@contextmanager
def recording(model: nn.Module, batch: Any, *, measure: bool = True) -> Iterator[tuple[Tape, Any]]:
    """Run a model forward on a batch and hold the tape and the output, as long as it is open.

    The model is left as it was: gradients, buffers, mode; so is the random state.

    Args:
        model: the network, in the mode in which it is to be looked at.
        batch: ``(inputs, targets)``, a mapping of keyword arguments, or the inputs alone.
        measure: read the levels.

    Raises:
        UsageError: nothing of the output depends on the input by way of torch functions; a
            parameter has no values; the batch has none, or complex ones, and is to be measured.
    """
    check_values(model)
    if measure:
        check_batch(batch)
    recorder = Recorder(measure=measure)
    with as_it_was(model), torch.enable_grad():
        with recorder.inside(model), recorder:
            with without_overrides():  # inputs are no calls
                for tensor in _tensors(batch):
                    recorder.add(tensor, None, (), {}, 0)
            output = output_of(model, batch)
        tape = recorder.tape
        tape.outputs = tuple(recorder.index_of(tensor) for tensor in _tensors(output))
        if all(index is None for index in tape.outputs):
            msg = "No call of a torch function was seen between the model's input and its output."
            raise UsageError(msg)
        tape.names = names(tape)
        yield tape, output


def check_batch(batch: Any) -> None:
    """Raise a UsageError if a batch is empty or complex: it has no level that could be told."""
    tensors = _tensors(batch)
    if not any(tensor.numel() for tensor in tensors):
        msg = "The batch is empty, so there is nothing to measure."
        raise UsageError(msg)
    if any(tensor.is_complex() for tensor in tensors):
        msg = "The batch is complex; levels are predicted and set of real signals only."
        raise UsageError(msg)


def names(tape: Tape) -> list[str]:
    """Name of each node: the path of a torch layer, or the path of the module and the function."""
    seen: Counter[str] = Counter()
    found = []
    for node in tape.nodes:
        name = node.module
        own = node.owner is not None and type(node.owner).__module__.startswith("torch.nn")
        if not own or (any(node.owner.children()) and node.op != "multi_head_attention_forward"):  # type: ignore[union-attr]
            name = f"{name}.{node.op}" if name else node.op
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def _note(node: Node, grad: Tensor) -> None:
    node.grad = float(grad.detach().double().square().mean().sqrt())
