"""No cut through the graph inside a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_module

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced


@INTERVENTIONS.register("keep-graph")
@contextmanager
def keep_graph() -> Iterator[None]:
    """Let ``detach`` return the tensor itself in the forward pass of a module, where it learns.

    Under ``no_grad``, and outside of modules, it means what it always does.
    """
    depth = 0

    def enter(module: nn.Module, inputs: Any) -> None:
        nonlocal depth
        del module, inputs
        depth += 1

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal depth
        del module, inputs, output
        depth -= 1

    def make(detach: Function) -> Function:
        def wrapper(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            if depth and torch.is_grad_enabled():
                return tensor
            return detach(tensor, *args, **kwargs)

        return wrapper

    with ExitStack() as stack:
        register = global_module.register_module_forward_hook
        stack.callback(global_module.register_module_forward_pre_hook(enter).remove)
        stack.callback(register(leave, always_call=True).remove)
        for owner in (Tensor, torch):
            stack.enter_context(replaced(owner, "detach", make))
        yield
