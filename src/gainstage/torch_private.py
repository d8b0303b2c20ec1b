"""The only place that touches torch's private interface; each use has a public-only fallback.

Everything here exists in torch 2.1 to 2.13. When a later torch drops one, the fallback costs
accuracy in rare cases (named at each function), never a crash.
"""
# ruff: noqa: SLF001

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ParamSpec

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

P = ParamSpec("P")

without_overrides: Callable[[], AbstractContextManager[object]] = getattr(
    torch._C, "DisableTorchFunction", nullcontext
)
"""A context in which no ``__torch_function__`` is called, neither a mode's nor a subclass's.

Fallback: none are disabled, and our own operations pass through the user's modes.
"""

set_gradients: Callable[[bool], object] = getattr(
    torch._C, "_set_grad_enabled", torch.set_grad_enabled
)
"""Switches autograd on and off: ``torch.no_grad`` at a tenth of its price.

Fallback: the public function of the same meaning.
"""


is_tracing: Callable[[], bool] = getattr(torch._C, "_is_tracing", bool)
"""Whether ``torch.jit.trace`` is recording on this thread.

Fallback: False; what the taps read then becomes part of the trace.
"""

has_function_modes: Callable[[], int] = getattr(torch._C, "_len_torch_function_stack", lambda: 1)
"""How many ``TorchFunctionMode`` are active.

Fallback: 1; the taps then switch all of them off, which is dearer.
"""

_pop_mode: Callable[[], Any] | None = getattr(torch._C, "_pop_torch_function_stack", None)
_push_mode: Callable[[Any], object] | None = getattr(
    torch._C, "_push_on_torch_function_stack", None
)


def take_function_modes() -> list[Any]:
    """Take every ``TorchFunctionMode`` off this thread's stack; which they were, innermost last.

    Fallback: none are taken.
    """
    modes: list[Any] = []
    if _pop_mode is not None and _push_mode is not None:
        while has_function_modes():
            modes.append(_pop_mode())
    return modes[::-1]


def put_function_modes(modes: list[Any]) -> None:
    """Put modes that were taken off onto this thread's stack."""
    if _push_mode is not None:
        for mode in modes:
            _push_mode(mode)


def remove_function_mode(mode: Any) -> bool:
    """Take a ``TorchFunctionMode`` off this thread's stack, wherever on it; whether it was there.

    Fallback: False; it is left to the mode's own ``__exit__``, which takes off the innermost.
    """
    modes = take_function_modes()
    others = [other for other in modes if other is not mode]
    put_function_modes(others)
    return len(others) < len(modes)


is_functorch_wrapped: Callable[[Tensor], bool] = getattr(
    getattr(torch._C, "_functorch", None), "is_functorch_wrapped_tensor", lambda _: False
)
"""Whether a tensor belongs to a running ``vmap``, ``grad`` or ``jvp`` and has no plain values.

Fallback: False; reading its values then raises inside the tap, which switches itself off.
"""


def is_fake(tensor: Tensor) -> bool:
    """Whether a tensor is a stand-in without storage, as in ``torch.export``.

    Fallback: by the name of its class.
    """
    return type(tensor).__name__ in {"FakeTensor", "FunctionalTensor"}


def foreach(name: str) -> Callable[..., Any]:
    """What a method of ``torch.Tensor`` is to one tensor, to a list of them: in one call.

    Fallback: the method, one tensor after another.

    Raises:
        AttributeError: tensors have no such method.
    """
    method = getattr(Tensor, name)

    def one_by_one(tensors: list[Tensor], *args: Any, **kwargs: Any) -> list[Tensor]:
        rows = zip(*(a if isinstance(a, list) else [a] * len(tensors) for a in args), strict=True)
        each = rows if args else iter([()] * len(tensors))
        return [method(tensor, *row, **kwargs) for tensor, row in zip(tensors, each, strict=True)]

    operation: Callable[..., Any] = getattr(torch, f"_foreach_{name}", one_by_one)
    return operation


def default_store() -> Any:
    """The key-value store of the default process group.

    Fallback: None; ranks then name their run each by itself.
    """
    find = getattr(torch.distributed.distributed_c10d, "_get_default_store", None)
    return None if find is None else find()


def node_number(node: Any) -> int:
    """Which node of the graph this is, among those that its thread has made.

    Fallback: -1, which means that it is not known.
    """
    number = getattr(node, "_sequence_nr", None)
    return -1 if number is None else int(number())


def exponent_of(node: Any) -> object:
    """The exponent of a power by a plain number, from its node of the graph; None for others.

    Fallback: None; a square that is written as a power is then not known to be one.
    """
    # an exponent that is a tensor was saved as one: to read it may call hooks
    return getattr(node, "_saved_exponent", None) if node.name() == "PowBackward0" else None


_graph_task: Callable[[], int] = getattr(torch._C, "_current_graph_task_id", lambda: -1)


def inside_backward() -> bool:
    """Whether the autograd engine is running on this thread (a checkpoint's recomputation).

    Fallback: False; forward values are then counted once more under checkpointing.
    """
    return _graph_task() != -1


def while_tracing(function: Callable[P, bool]) -> Callable[P, bool]:
    """Have a compiler call a function as it traces, once a graph, and take its result for granted.

    What ``torch.compiler.assume_constant_result`` does, without importing the compiler.
    Fallback: none is needed, the mark is the same since torch 2.0.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


_is_dynamo_compiling: Callable[[], bool] = getattr(
    torch.compiler, "is_dynamo_compiling", torch.compiler.is_compiling
)
_is_exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", lambda: False)


def may_extend_graph() -> bool:
    """Whether ``torch.compile`` is making a graph for this process to run, and not an export.

    Fallback: an export by an old torch is taken for a compilation, and holds what we write.
    """
    return _is_dynamo_compiling() and not _is_exporting()


def inside_transform() -> bool:
    """Whether a ``vmap``, ``grad`` or ``jvp`` is running.

    Fallback: False; a stage inside one of them, compiled, then breaks the graph.
    """
    functorch = getattr(torch._C, "_functorch", None)
    innermost = getattr(functorch, "peek_interpreter_stack", None)
    return innermost is not None and innermost() is not None


def functional_gradients() -> tuple[Any, str] | None:
    """The function that ``torch.func.grad`` and ``grad_and_value`` call: its module, its name.

    Fallback: None; what runs inside them is then not seen.
    """
    where = getattr(getattr(torch, "_functorch", None), "eager_transforms", None)
    name = "grad_and_value_impl"
    return (where, name) if callable(getattr(where, name, None)) else None


def flattened(value: Any) -> tuple[list[Any], list[str], Callable[[list[Any]], Any]]:
    """What a nested structure holds, as ``torch.func`` takes it apart.

    Fallback: none is needed, it is there since torch 2.1.

    Returns:
        The leaves; for each the key that it has in a dictionary, or ``""``; and what puts others
        in their place.
    """
    leaves, spec = pytree.tree_flatten(value)
    try:
        paths = [path for path, _ in pytree.tree_flatten_with_path(value)[0]]
    except ValueError:  # a user's own kind of node, which has no keys
        paths = [()] * len(leaves)
    keys = [str(getattr(path[-1], "key", "")) if path else "" for path in paths]
    return leaves, keys, lambda others: pytree.tree_unflatten(others, spec)


def has_compiled() -> bool:
    """Whether ``torch.compile`` has made a graph in this process.

    Fallback: whether its half of torch has been imported.
    """
    dynamo = sys.modules.get("torch._dynamo")
    counters = getattr(getattr(dynamo, "utils", None), "counters", None)
    if not isinstance(counters, dict):
        return dynamo is not None
    return bool(counters["stats"]["unique_graphs"])


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether ``torch.compile`` or ``module.compile()`` was applied to this very module.

    Fallback: False; then only a model of which nothing is seen is reported as blind.
    """
    return "_orig_mod" in module._modules or (
        getattr(module, "_compiled_call_impl", None) is not None
    )
