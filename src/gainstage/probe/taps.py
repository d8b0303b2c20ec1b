"""Where the probe is attached: module hooks, optimiser hooks, the backward pass.

Each tap is a context manager; leaving it removes every trace. A hook survives ``deepcopy`` and
``pickle`` of what it hangs on as an inert object, so copies of a watched model are just copies.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as global_module
from torch.optim import optimizer as global_optimizer

from gainstage.probe import transforms, wrappers
from gainstage.probe.probe import Probe
from gainstage.probe.scripting import SCRIPT, Unscripted
from gainstage.probe.traced import CompiledStage
from gainstage.torch_private import may_extend_graph


class Hook(Unscripted):
    """A callable that calls a bound function, and becomes inert when copied or pickled."""

    def __init__(
        self,
        function: Callable[..., None] | None = None,
        compiled: CompiledStage | None = None,
    ) -> None:
        self._function = function
        self._compiled = compiled

    def __call__(self, *args: Any) -> Any:
        """Pass the call on; return nothing, for torch would take it as a replacement.

        Unless a compiler traces the call, which is the one way to see the gradient then.
        """
        if torch.compiler.is_compiling():
            if self._compiled is None or not may_extend_graph():
                return None
            return self._compiled.trace(args[1], args[-1])
        if self._function is not None:
            self._function(*args)
        return None

    def __deepcopy__(self, memo: dict[int, Any]) -> Hook:
        return Hook()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, str]]:
        # a callable of the standard library that does nothing: a saved model loads without us
        return (getattr, (nullcontext(), "__exit__"))


@functools.cache
def hook_seconds() -> float:
    """What it costs torch to call one hook of a module and one of an output, measured here."""
    plain, hooked = nn.Identity(), nn.Identity()
    x = torch.zeros(1)
    handle = hooked.register_forward_hook(Hook())
    best = [math.inf, math.inf]
    for _ in range(20):
        for i, module in enumerate((plain, hooked)):
            start = time.perf_counter()
            for _ in range(20):
                module(x)
            best[i] = min(best[i], (time.perf_counter() - start) / 20)
    handle.remove()
    return 2 * max(best[1] - best[0], 0.0)


def _enter_hook(probe: Probe) -> Hook:
    return Hook(lambda module, inputs, *_: probe.forward.enter_module(module, inputs))


def _root_hook(probe: Probe) -> Hook:
    """For the outermost module, where what its parts call is of no interest."""
    begin = probe.forward.begin_root
    return Hook(lambda module, *_: begin(module))


def _leave_hook(probe: Probe, stage: nn.Module | None = None) -> Hook:
    """For any module; one that is a stage whoever calls it is seen in compiled graphs as well."""

    def leave(module: nn.Module, inputs: Any, *rest: Any) -> None:
        probe.forward.leave_module(module, inputs, rest[-1], with_grad=torch.is_grad_enabled())

    return Hook(leave, None if stage is None else probe.forward.compiled_stage(stage))


def _stage_hook(probe: Probe, module: nn.Module) -> Hook:
    """For a module that is a stage whoever calls it: one call instead of two."""
    forward, stage_output = probe.forward, probe.forward.stage_output
    call, place = probe.guard.call_lightly, forward.place_of(module)
    is_grad_enabled = torch.is_grad_enabled

    def hook(module: nn.Module, inputs: Any, *rest: Any) -> None:
        if forward.measuring:
            call("module", stage_output, module, place, inputs, rest[-1], is_grad_enabled())

    return Hook(hook, forward.compiled_stage(module))


def _step_hooks(probe: Probe) -> tuple[Hook, Hook]:
    shield = probe.guard.shield
    before = Hook(lambda *call: shield("optimizer", probe.before_step, *call))
    return before, Hook(lambda o, *_: probe.after_step(o))


@contextmanager
def module_tap(probe: Probe, model: nn.Module, *, functional: bool = True) -> Iterator[None]:
    """Watch the forward passes of one model's modules.

    Args:
        probe: what they are reported to.
        model: the outermost module.
        functional: functional calls are watched too, so it matters which module makes them.
            Otherwise modules that are no stages, or parts of one, cost nothing.
    """
    probe.add_model(model)
    stages = dict.fromkeys(probe.forward.stages_of(model))
    with SCRIPT.heard_by(probe), ExitStack() as stack:
        stack.callback(probe.forward.compiled.stop)
        if functional:
            enter, leave = _enter_hook(probe), _leave_hook(probe)
            for module in model.modules():
                stack.callback(module.register_forward_pre_hook(enter).remove)
                after = _leave_hook(probe, module) if module in stages else leave
                handle = module.register_forward_hook(after)
                stack.callback(handle.remove)
                if module in stages:
                    probe.forward.health.hooked(handle, module)
        else:
            stack.callback(model.register_forward_pre_hook(_root_hook(probe)).remove)
            for module in stages:
                probe.hooks_seconds += hook_seconds()
                handle = module.register_forward_hook(_stage_hook(probe, module))
                stack.callback(handle.remove)
                probe.forward.health.hooked(handle, module)
        yield


@contextmanager
def every_module_tap(probe: Probe) -> Iterator[None]:
    """Watch the forward passes of every module of the process."""
    enter, leave = _enter_hook(probe), _leave_hook(probe)
    with ExitStack() as stack:
        stack.callback(global_module.register_module_forward_pre_hook(enter).remove)
        stack.callback(global_module.register_module_forward_hook(leave).remove)
        yield


@contextmanager
def optimizer_tap(probe: Probe, optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[None]:
    """Watch the steps of given optimisers."""
    with ExitStack() as stack:
        for optimizer in optimizers:
            probe.add_optimizer(optimizer)
            before, after = _step_hooks(probe)
            stack.callback(optimizer.register_step_pre_hook(before).remove)
            stack.callback(optimizer.register_step_post_hook(after).remove)
        stack.enter_context(wrappers.SCALER_STEP.heard_by(probe))
        yield


@contextmanager
def every_optimizer_tap(probe: Probe) -> Iterator[None]:
    """Watch the steps of every torch optimiser of the process, and learn of each when made."""
    with wrappers.OPTIMIZER_INIT.heard_by(probe), ExitStack() as stack:
        before, after = _step_hooks(probe)
        stack.callback(global_optimizer.register_optimizer_step_pre_hook(before).remove)
        stack.callback(global_optimizer.register_optimizer_step_post_hook(after).remove)
        stack.enter_context(wrappers.SCALER_STEP.heard_by(probe))
        yield


@contextmanager
def backward_tap(probe: Probe) -> Iterator[None]:
    """Watch ``Tensor.backward``, ``torch.autograd.backward`` and ``grad``, ``torch.func.grad``.

    ``Tensor.backward`` calls ``torch.autograd.backward`` by name, so it needs none of its own.
    """
    with ExitStack() as stack:
        for patch in (wrappers.BACKWARD, wrappers.GRAD, *transforms.PATCHES):
            stack.enter_context(patch.heard_by(probe))
        yield
