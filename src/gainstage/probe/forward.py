"""The forward half of the probe: modules, functional calls and losses become stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gainstage.probe.calls import OpenCalls
from gainstage.probe.criterion import Criterion
from gainstage.probe.guard import Guard, tap
from gainstage.probe.naming import clean, enclosing_module
from gainstage.probe.parameters import Parameters
from gainstage.probe.recorder import Recorder
from gainstage.probe.stages import Stages
from gainstage.torch_private import inside_backward

_OPS: Final = {
    "ReLU": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "GELU": "gelu",
    "SiLU": "silu",
}
"""Modules that are an activation carry the activation's name, as functional calls do."""


class Forward:
    """Follows which modules run, names what they call, and has their outputs measured.

    Args:
        recorder: where numbers go.
        guard: what keeps failures from the user.
        parameters: learns of modules' and bare parameters.
        measuring: tells whether the step that a forward pass belongs to is measured.
    """

    def __init__(
        self,
        recorder: Recorder,
        guard: Guard,
        parameters: Parameters,
        measuring: Callable[[], bool],
    ) -> None:
        self.guard = guard
        self.stages = Stages(recorder, guard)
        self.criterion = Criterion()
        self._recorder = recorder
        self._parameters = parameters
        self._measuring = measuring
        self._names: dict[int, str] = {}
        self._modules: list[nn.Module] = []  # keeps ids in _names valid
        self._prefixes: set[str] = set()
        self._calls: OpenCalls[nn.Module] = OpenCalls()
        self._root = 0
        self._ordinals: dict[str, int] = {}
        self._trained_in_train_mode = False

    def add_model(self, root: nn.Module, prefix: str = "") -> None:
        """Learn the names of a model's modules and parameters."""
        if prefix in self._prefixes and prefix:
            prefix = f"{prefix}_{len(self._prefixes)}"
        self._prefixes.add(prefix)
        for path, module in root.named_modules():
            self._names[id(module)] = clean(".".join(part for part in (prefix, path) if part))
        self._modules.append(root)
        self._parameters.add_module(root, self._names)

    @tap("module")
    def enter_module(self, module: nn.Module) -> None:
        """A module's forward is about to run."""
        if self._calls.innermost is None:
            self._root += 1  # outermost calls are numbered
            if id(module) not in self._names and not _is_criterion(module):
                root, variable, alone = enclosing_module(module)
                self.add_model(root, "" if alone else variable)
        self._calls.enter(module)

    @tap("module")
    def leave_module(self, module: nn.Module, inputs: Any, output: Any, *, with_grad: bool) -> None:
        """A module's forward returned `output`; `with_grad` tells whether autograd recorded it."""
        if not self._calls.leave(module) or not _is_stage(module):
            return
        if not self._counts(module) or self.inside_module():
            return
        tensor = _first_tensor(output)
        if tensor is None:
            return
        name = self._names.get(id(module)) or type(module).__name__
        if not with_grad:
            if module.training:  # a checkpoint's first pass: only its place is kept
                self._recorder.order(name)
            return
        if inside_backward() and self.stages.again(name, tensor):
            return
        kind = type(module).__name__
        entry = self.stages.output(
            lambda: name, _OPS.get(kind, kind), tensor, root=self._root, module=module
        )
        if entry is not None and _has_own_parameters(module):
            self.stages.feed(entry, _first_tensor(inputs))

    def inside_module(self) -> bool:
        """Whether a measured module is running, which stands for what it calls."""
        return any(_is_stage(module) for module in self._calls.all)

    @tap("function")
    def function_output(self, op: str, tensor: Tensor) -> None:
        """A functional activation, norm or attention returned `tensor`."""
        if not self._measuring() or inside_backward():
            return
        name = self._functional_name(op)
        self.stages.output(lambda: name, op, tensor, root=self._calling())

    @tap("function")
    def product_output(self, op: str, parameter: Tensor, tensor: Tensor, args: Any) -> None:
        """A product with a bare parameter returned `tensor`."""
        if not self._measuring() or inside_backward():
            return
        self._parameters.used_by(parameter, op)
        entry = self.stages.output(
            lambda: self._parameters.label(parameter).layer, op, tensor, root=self._calling()
        )
        if entry is not None and op != "embedding":
            others = (a for a in args if isinstance(a, Tensor) and a is not parameter)
            self.stages.feed(entry, next(others, None))

    @tap("loss")
    def loss_output(self, function: Any, args: Any, kwargs: Any, tensor: Tensor) -> None:
        """A loss function returned `tensor`."""
        if tensor.requires_grad:
            self.criterion.saw(function, args, kwargs, tensor)

    def differentiated(self, *, measured: bool) -> None:
        """A backward pass went through what was seen: record it, or drop it unmeasured."""
        if measured:
            self.stages.flush()
        else:
            self.stages.forget()
        self._ordinals.clear()

    def release(self) -> None:
        """Let go of the user's modules and tensors."""
        self.stages.forget()
        self._calls.clear()
        self._modules.clear()
        self._names.clear()

    def _functional_name(self, op: str) -> str:
        owner = self._names.get(id(self._calls.innermost), "")
        name = f"{owner}.{op}" if owner else op
        self._ordinals[name] = self._ordinals.get(name, 0) + 1
        count = self._ordinals[name]
        return name if count == 1 else f"{name}_{count}"

    def _calling(self) -> int:
        """Number of the outermost module call that is running; 0 if none is."""
        return self._root if self._calls.innermost is not None else 0

    def _counts(self, module: nn.Module) -> bool:
        if not self._measuring():
            return False
        if module.training:
            self._trained_in_train_mode = True
        return module.training or not self._trained_in_train_mode


def _is_stage(module: nn.Module) -> bool:
    """Whether a module is measured as a whole and stands for what it calls.

    A leaf is, and a module of torch with parameters of its own (attention), but not a user's
    model that keeps a bare parameter beside its blocks.
    """
    if next(module.children(), None) is None:
        return "Loss" not in type(module).__name__
    if not _has_own_parameters(module):
        return False
    torchs_own = type(module).__module__.startswith("torch.nn.")
    return torchs_own or not any(next(c.parameters(), None) is not None for c in module.children())


def _is_criterion(module: nn.Module) -> bool:
    """Whether a module is a loss, which scripts also make anew at every step."""
    return "Loss" in type(module).__name__ and next(module.parameters(), None) is None


def _has_own_parameters(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None


def _first_tensor(tree: Any) -> Tensor | None:
    """The first floating-point tensor of a nested output or input."""
    if isinstance(tree, Tensor):
        return tree if tree.is_floating_point() else None
    return next(
        (t for t in pytree.tree_leaves(tree) if isinstance(t, Tensor) and t.is_floating_point()),
        None,
    )
