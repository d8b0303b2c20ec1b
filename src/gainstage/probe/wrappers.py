"""What replaces functions of torch while somebody watches: one wrapper each, however many listen.

Watches end in any order. So none restores what it found: a wrapper has a list of listeners, and
goes when the last one leaves.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor

from gainstage.probe.probe import Probe

Function = Callable[..., Any]

_MARK: Final = "_gainstage"
_lock: Final = threading.RLock()


class Installation:
    """A function of torch, and what stands in its place.

    Args:
        original: the function.
        wrap: makes the wrapper.

    Attributes:
        listeners: who listens; without any, the wrapper only passes calls on.
    """

    def __init__(self, original: Function, wrap: Callable[[Installation], Function]) -> None:
        self.original = original
        self.listeners: tuple[Any, ...] = ()
        self.wrapper = functools.wraps(original)(wrap(self))
        vars(self.wrapper)[_MARK] = self

    @staticmethod
    def of(function: Function) -> Installation | None:
        """The one whose wrapper a function is."""
        here = getattr(function, _MARK, None)
        # a wrapper of others' around ours may have copied the mark
        return here if isinstance(here, Installation) and here.wrapper is function else None


class Patch:
    """A function of torch that is replaced as long as anybody listens.

    Args:
        owner: the module or class that has it.
        name: its name there.
        wrap: makes the wrapper.
    """

    def __init__(self, owner: Any, name: str, wrap: Callable[[Installation], Function]) -> None:
        self._owner = owner
        self._name = name
        self._wrap = wrap

    @contextmanager
    def heard_by(self, listener: Any) -> Iterator[None]:
        """Let a probe, or a tap, listen."""
        with _lock:
            here = self._installed()
            here.listeners = (*here.listeners, listener)
        try:
            yield
        finally:
            with _lock:
                here.listeners = tuple(one for one in here.listeners if one is not listener)
                # whoever replaced it after us may call it: then it stays, and passes calls on
                if not here.listeners and getattr(self._owner, self._name) is here.wrapper:
                    setattr(self._owner, self._name, here.original)

    def _installed(self) -> Installation:
        current = getattr(self._owner, self._name)
        here = Installation.of(current)
        if here is None:
            here = Installation(current, self._wrap)
            setattr(self._owner, self._name, here.wrapper)
        return here


def _backward(here: Installation) -> Function:
    def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tensors, Iterator):  # we look at it as well, and a generator yields once
            tensors = tuple(tensors)
        if isinstance(grad_tensors, Iterator):
            grad_tensors = tuple(grad_tensors)
        begun: list[Probe] = []
        try:
            for probe in here.listeners:
                if probe.guard.shield("backward", _begin, probe, tensors, grad_tensors):
                    begun.append(probe)  # noqa: PERF401 - known also if a later one ends it
            return here.original(tensors, grad_tensors, *args, **kwargs)
        finally:
            for probe in reversed(begun):
                probe.guard.shield("backward", probe.after_backward)

    return backward


def _begin(probe: Probe, roots: Any, weights: Any) -> bool:
    probe.before_backward(_tensors(roots), weights)
    return True


def _grad(here: Installation) -> Function:
    def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(outputs, Iterator):
            outputs = tuple(outputs)
        if isinstance(inputs, Iterator):
            inputs = tuple(inputs)
        begun: list[tuple[Probe, list[Tensor]]] = []
        found: Any = ()
        try:
            for probe in here.listeners:
                call = (probe, outputs, inputs, args, kwargs)
                wanted = probe.guard.shield("backward", _begin_grad, *call)
                if wanted is not None:
                    begun.append((probe, wanted))
            found = here.original(outputs, inputs, *args, **kwargs)
        finally:
            for probe, wanted in reversed(begun):
                probe.guard.shield("backward", _end_grad, probe, wanted, found)
        return found

    return grad


def _begin_grad(
    probe: Probe, outputs: Any, inputs: Any, args: Any, kwargs: Any
) -> list[Tensor] | None:
    """Tell a probe that a backward begins, if it is one for a step; with respect to what."""
    wanted = _tensors(inputs)
    if not _for_a_step(*args, **kwargs) or not probe.steppers.trains(wanted):
        return None
    probe.before_backward(_tensors(outputs))
    return wanted


def _end_grad(probe: Probe, wanted: Sequence[Tensor], found: Sequence[Any]) -> None:
    probe.after_backward(list(zip(wanted, found, strict=False)))


def _tensors(tensors: Any) -> list[Tensor]:
    """The tensors among what was given; what else there is, torch takes or refuses."""
    if isinstance(tensors, Tensor):
        return [tensors]
    if not isinstance(tensors, Iterable):
        return []
    return [tensor for tensor in tensors if isinstance(tensor, Tensor)]


def _for_a_step(
    grad_outputs: Any = None,
    retain_graph: Any = None,
    create_graph: Any = False,
    only_inputs: Any = True,
    allow_unused: Any = None,
    is_grads_batched: Any = False,
    *_: Any,
    **__: Any,
) -> bool:
    """Whether ``autograd.grad`` is asked for one gradient, and not to differentiate it further."""
    del grad_outputs, retain_graph, only_inputs, allow_unused
    return not create_graph and not is_grads_batched


def _init(here: Installation) -> Function:
    def init(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        here.original(self, *args, **kwargs)
        for probe in here.listeners:
            probe.guard.shield("optimizer", probe.add_optimizer, self)

    return init


def _scaler_step(here: Installation) -> Function:
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        listeners = here.listeners if self.is_enabled() else ()
        for probe in listeners:
            probe.guard.shield("scaler", _begin_scaler_step, probe, self)
        try:
            return here.original(self, optimizer, *args, **kwargs)
        finally:
            for probe in listeners:
                probe.guard.shield("scaler", probe.after_scaler_step)

    return step


def _begin_scaler_step(probe: Probe, scaler: Any) -> None:
    probe.before_scaler_step(float(scaler.get_scale()))


BACKWARD: Final = Patch(torch.autograd, "backward", _backward)
GRAD: Final = Patch(torch.autograd, "grad", _grad)
OPTIMIZER_INIT: Final = Patch(torch.optim.Optimizer, "__init__", _init)
SCALER_STEP: Final = Patch(torch.amp.GradScaler, "step", _scaler_step)
