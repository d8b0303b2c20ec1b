"""How interventions reach into torch: replaced functions, and hooks around steps and models.

They are attached before the probe and detached after it, so the probe sees what they make of a
training, and plain replacement in the order of a stack is enough.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeAlias
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_module
from torch.optim import optimizer as global_optimizer

from gainstage.probe import graph
from gainstage.torch_private import flattened, functional_gradients, inside_transform

Function: TypeAlias = Callable[..., Any]
Group: TypeAlias = dict[str, Any]

DISTANCES: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
"""Losses of torch.nn.functional that are a distance of a prediction to a target."""


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Function], Function]) -> Iterator[None]:
    """Put another function in the place of one.

    Args:
        owner: the module or class that has it.
        name: its name there.
        make: from the function to the one that replaces it.

    Example:
        >>> with replaced(torch, "relu", lambda relu: lambda x: -relu(x)):
        ...     torch.relu(torch.tensor(2.0))
        tensor(-2.)
    """
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(make(original)))
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def before_steps(act: Callable[[torch.optim.Optimizer], None]) -> Iterator[None]:
    """Call a function before each step of each optimiser."""
    hook = global_optimizer.register_optimizer_step_pre_hook(lambda one, *_: act(one))
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def after_steps(act: Callable[[torch.optim.Optimizer], None]) -> Iterator[None]:
    """Call a function after each step of each optimiser."""
    hook = global_optimizer.register_optimizer_step_post_hook(lambda one, *_: act(one))
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def during_steps(key: str, change: Callable[[Any], Any]) -> Iterator[None]:
    """Change an entry of every parameter group as long as a step runs.

    Schedulers and the script see the entry as they left it, so whatever they make of it is
    changed in proportion.

    Args:
        key: for example ``"lr"``.
        change: from the script's value to the one that the step uses.
    """
    kept: dict[int, list[tuple[Group, Any]]] = {}

    def before(optimizer: torch.optim.Optimizer) -> None:
        after(optimizer)  # a step that raised has not put them back
        groups = [group for group in optimizer.param_groups if key in group]
        kept[id(optimizer)] = [(group, group[key]) for group in groups]
        for group in groups:
            group[key] = change(group[key])

    def after(optimizer: torch.optim.Optimizer) -> None:
        for group, value in kept.pop(id(optimizer), []):
            group[key] = value

    with before_steps(before), after_steps(after):
        yield


@contextmanager
def optimizers_made() -> Iterator[WeakSet[torch.optim.Optimizer]]:
    """The optimisers of torch's kind that are made while this lasts."""
    made: WeakSet[torch.optim.Optimizer] = WeakSet()

    def init(original: Function) -> Function:
        def wrapper(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            made.add(self)

        return wrapper

    with replaced(torch.optim.Optimizer, "__init__", init):
        yield made


def trained(leaves: Sequence[Tensor], optimizers: Iterable[torch.optim.Optimizer]) -> list[Tensor]:
    """Those leaves that an optimiser steps; all if there is no optimiser: who knows whose they are.

    A point at which a gradient is asked for (of a differential equation, of an attack) is none.
    """
    owned = {id(p) for one in optimizers for p in parameters_of(one)}
    return [leaf for leaf in leaves if not owned or id(leaf) in owned]


@contextmanager
def around_models(before: Callable[[nn.Module, tuple[Any, ...]], Any]) -> Iterator[None]:
    """Call a function before each forward pass of an outermost module.

    Args:
        before: takes the module and its inputs; what it returns other than None replaces them.
    """
    depth = 0

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        nonlocal depth
        depth += 1
        return before(module, inputs) if depth == 1 else None

    def leave(*_: Any) -> None:
        nonlocal depth
        depth -= 1

    with ExitStack() as stack:
        register = global_module.register_module_forward_hook
        stack.callback(global_module.register_module_forward_pre_hook(enter).remove)
        stack.callback(register(leave, always_call=True).remove)
        yield


@contextmanager
def weighted_backwards(weigh: Callable[[list[Tensor]], float]) -> Iterator[None]:
    """Multiply the gradients of each backward pass by a factor.

    Args:
        weigh: gives the factor, from the tensors that the backward begins at.
    """

    def backward(original: Function) -> Function:
        def wrapper(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> Any:
            roots = _listed(tensors)
            seeds = _seeds(roots, grad_tensors, weigh(roots))
            return original(roots, seeds, *args, **kwargs)

        return wrapper

    def grad(original: Function) -> Function:
        def wrapper(
            outputs: Any, inputs: Any, grad_outputs: Any = None, *args: Any, **kwargs: Any
        ) -> Any:
            if kwargs.get("create_graph") or kwargs.get("is_grads_batched"):
                return original(outputs, inputs, grad_outputs, *args, **kwargs)
            roots = _listed(outputs)
            seeds = _seeds(roots, grad_outputs, weigh(roots))
            return original(roots, inputs, seeds, *args, **kwargs)

        return wrapper

    with ExitStack() as stack:
        stack.enter_context(replaced(torch.autograd, "backward", backward))
        stack.enter_context(replaced(torch.autograd, "grad", grad))
        where = functional_gradients()
        if where is not None:
            stack.enter_context(replaced(*where, lambda original: _weighted(original, weigh)))
        yield


def _weighted(original: Function, weigh: Callable[[list[Tensor]], float]) -> Function:
    """``torch.func.grad`` and its like, of which a training takes the outermost."""

    def wrapper(function: Any, argnums: Any, has_aux: bool, *given: Any) -> Any:
        inside = inside_transform()
        grads, answer = original(function, argnums, has_aux, *given)
        if inside:
            return grads, answer
        factor = weigh([answer[0] if has_aux else answer])
        leaves, _, rebuild = flattened(grads)
        return rebuild([factor * leaf for leaf in leaves]), answer

    return wrapper


@contextmanager
def after_backwards(act: Callable[[list[Tensor]], None]) -> Iterator[None]:
    """Call a function with the leaves that a backward pass has reached, after each of them.

    Passes of ``torch.autograd.grad`` are none: they leave nothing in ``.grad``.
    """

    def make(original: Function) -> Function:
        def wrapper(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            reached = graph.leaves(_listed(tensors))
            result = original(tensors, *args, **kwargs)
            act(reached)
            return result

        return wrapper

    with replaced(torch.autograd, "backward", make):
        yield


@contextmanager
def own_randomness() -> Iterator[None]:
    """Random numbers that follow the script's seed and leave its own stream as it is."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(torch.initial_seed() % 2**31 + 1)
        yield


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All parameters that an optimiser steps."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def _listed(tensors: Any) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _seeds(roots: list[Tensor], given: Any, factor: float) -> list[Tensor | None]:
    """The gradients that a backward begins with, times the factor."""
    seeds = [None] * len(roots) if given is None else _listed(given)
    if factor == 1.0:
        return list(seeds)
    return [
        (torch.ones_like(root) if seed is None else seed) * factor
        for root, seed in zip(roots, seeds, strict=True)
    ]
