"""No cut through the graph inside a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_module
from torch.utils.weak import WeakTensorKeyDictionary

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced

_DATA: Final[Any] = Tensor.data


@INTERVENTIONS.register("keep-graph")
@contextmanager
def keep_graph(*, recording: bool = False) -> Iterator[None]:
    """Let ``detach`` return the tensor itself in the forward pass of a module, where it learns.

    What is detached outside of modules and given to one is the tensor itself there as well, and
    nowhere else: what is logged stays detached. Under ``no_grad`` it means what it always does.

    Args:
        recording: whether a module in training mode records its graph under ``no_grad`` too, and
            neither ``.data`` nor ``torch.tensor`` cuts it there.
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
        if recording:
            stack.enter_context(replaced(torch.no_grad, "__enter__", graphs.entering))
            stack.enter_context(replaced(torch, "tensor", graphs.copying))
            stack.callback(setattr, Tensor, "data", Tensor.data)
            Tensor.data = property(graphs.data, _set_data)  # type: ignore[assignment]
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
        if self._recording and module.training:
            torch.set_grad_enabled(True)
        if not torch.is_grad_enabled():
            return None
        return tuple(
            self.origins[one] if isinstance(one, Tensor) and one in self.origins else one
            for one in inputs
        )

    def entering(self, enter: Function) -> Function:
        """``no_grad`` that has no effect inside of a module."""

        def wrapper(context: Any) -> None:
            before = torch.is_grad_enabled()
            enter(context)
            if self.inside:
                torch.set_grad_enabled(before)

        return wrapper

    def copying(self, tensor: Function) -> Function:
        """``torch.tensor`` that copies a tensor with its graph inside of a module."""

        def wrapper(given: Any, *args: Any, **kwargs: Any) -> Any:
            if self.inside and isinstance(given, Tensor) and given.requires_grad:
                return given.clone()
            return tensor(given, *args, **kwargs)

        return wrapper

    def data(self, tensor: Tensor) -> Tensor:
        """``.data``, which inside of a module is the tensor itself if it was computed."""
        kept = self.inside and torch.is_grad_enabled() and tensor.grad_fn is not None
        return tensor if kept else _data_of(tensor)

    def leave(self, *_: Any) -> None:
        """It has ended."""
        torch.set_grad_enabled(self._before.pop())


def _data_of(tensor: Tensor) -> Tensor:
    data: Tensor = _DATA.__get__(tensor)
    return data


def _set_data(tensor: Tensor, value: Tensor) -> None:
    _DATA.__set__(tensor, value)
