"""No cut through the graph inside a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_module
from torch.utils.weak import WeakTensorKeyDictionary

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced


@INTERVENTIONS.register("keep-graph")
@contextmanager
def keep_graph(*, recording: bool = False) -> Iterator[None]:
    """Let ``detach`` return the tensor itself in the forward pass of a module, where it learns.

    What is detached outside of modules and given to one is the tensor itself there as well, and
    nowhere else: what is logged stays detached. Under ``no_grad`` it means what it always does.

    Args:
        recording: whether a module in training mode records its graph under ``no_grad`` too.
    """
    graphs = _Graphs(recording=recording)

    def make(detach: Function) -> Function:
        def wrapper(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            if graphs.inside and torch.is_grad_enabled():
                return tensor
            cut = detach(tensor, *args, **kwargs)
            if tensor.grad_fn is not None:
                graphs.origins[cut] = tensor
            return cut

        return wrapper

    with ExitStack() as stack:
        register = global_module.register_module_forward_hook
        stack.callback(global_module.register_module_forward_pre_hook(graphs.enter).remove)
        stack.callback(register(graphs.leave, always_call=True).remove)
        for owner in (Tensor, torch):
            stack.enter_context(replaced(owner, "detach", make))
        yield


class _Graphs:
    """Follows into modules and out of them.

    Attributes:
        origins: of what was detached outside of modules, the tensor that it was.
    """

    def __init__(self, *, recording: bool) -> None:
        self._recording = recording
        self._before: list[bool] = []
        self.origins = WeakTensorKeyDictionary()

    @property
    def inside(self) -> bool:
        """Whether a module is at work."""
        return bool(self._before)

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        """A module begins: what it is given."""
        self._before.append(torch.is_grad_enabled())
        if self._recording and module.training and len(self._before) == 1:
            torch.set_grad_enabled(True)
        if not torch.is_grad_enabled():
            return None
        return tuple(
            self.origins[one] if isinstance(one, Tensor) and one in self.origins else one
            for one in inputs
        )

    def leave(self, *_: Any) -> None:
        """It has ended."""
        torch.set_grad_enabled(self._before.pop())
