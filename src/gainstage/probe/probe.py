"""The probe: turns what the taps see of a training into frames.

A frame spans one iteration: the forward and backward passes up to a parameter update, and that
update. It is closed when the next backward begins, so that two optimisers stepping after one
backward, accumulated micro-batches and updates by hand all fall into place.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from gainstage.probe.criterion import Criterion
from gainstage.probe.graph import leaves
from gainstage.probe.guard import Guard, tap
from gainstage.probe.naming import clean, enclosing_module
from gainstage.probe.parameters import Parameters
from gainstage.probe.recorder import Recorder, Sink
from gainstage.probe.stages import Entry, Stages
from gainstage.torch_private import inside_backward

PATIENCE: Final = 16
"""Backwards without any step of an optimiser that exists, before each counts as a step."""

_OPS: Final = {
    "ReLU": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "GELU": "gelu",
    "SiLU": "silu",
}
"""Modules that are an activation carry the activation's name, as functional calls do."""


class Probe:
    """Receives events from taps, measures, and writes frames to a sink.

    Args:
        sink: where frames go.
        every: measure each `every`-th step only; the loss is recorded at each.
    """

    def __init__(self, sink: Sink, *, every: int = 1) -> None:
        self.recorder = Recorder(sink)
        self.guard = Guard(self._tap_failed)
        self.stages = Stages(self.recorder, self.guard)
        self.parameters = Parameters(self.recorder)
        self.criterion = Criterion()
        self.facts: dict[str, Any] = {}
        self.on_frame: Callable[[int], None] = lambda _: None
        self._every = every
        self._names: dict[int, str] = {}
        self._modules: list[nn.Module] = []  # keeps ids in _names valid
        self._prefixes: set[str] = set()
        self._optimizers: list[torch.optim.Optimizer] = []
        self._stack: list[tuple[nn.Module, bool]] = []
        self._root = 0
        self._ordinals: dict[str, int] = {}
        self._backwards = 0
        self._idle = 0
        self._depth = 0
        self._stepping: list[int] = []
        self._stepped = False
        self._held = False
        self._leaves: dict[int, weakref.ref[Tensor]] = {}
        self._trained_in_train_mode = False
        self._frame_seconds = 0.0

    # ---- what is known beforehand

    @tap("module")
    def add_model(self, model: nn.Module) -> None:
        """Learn the names of a model's modules and parameters."""
        self._adopt(model, "")

    def add_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Learn of an optimiser, so that its parameters are known to be stepped by it."""
        if not any(o is optimizer for o in self._optimizers):
            self._optimizers.append(optimizer)
            self.facts["optimizer"] = type(optimizer).__name__

    @property
    def measuring(self) -> bool:
        """Whether the current step is one that is measured."""
        return self.recorder.step % self._every == 0

    # ---- forward

    @tap("module")
    def enter_module(self, module: nn.Module) -> None:
        """A module's forward is about to run."""
        if not self._stack:
            self._root += 1  # outermost calls are numbered
            if id(module) not in self._names:
                root, variable, alone = enclosing_module(module)
                self._adopt(root, "" if alone else variable)
        self._stack.append((module, self._is_stage(module)))

    @tap("module")
    def leave_module(self, module: nn.Module, inputs: Any, output: Any, *, with_grad: bool) -> None:
        """A module's forward returned `output`; `with_grad` tells whether autograd recorded it."""
        while self._stack and self._stack[-1][0] is not module:
            self._stack.pop()  # an exception left these open
        if not self._stack:
            return
        _, stage = self._stack.pop()
        if not (with_grad and stage and self._forward_counts(module)) or self.inside_module():
            return
        tensor = _first_tensor(output)
        if tensor is None:
            return
        name = self._names.get(id(module)) or type(module).__name__
        if inside_backward():
            waiting = self.stages.waiting(name)
            if waiting is not None:
                self.stages.listen(waiting, tensor)
            return
        kind = type(module).__name__
        entry = self.stages.output(
            lambda: name, _OPS.get(kind, kind), tensor, root=self._root, module=module
        )
        if entry is not None and _has_own_parameters(module):
            self.stages.feed(entry, _first_tensor(inputs))

    def inside_module(self) -> bool:
        """Whether a measured module is running, which stands for what it calls."""
        return any(stage for _, stage in self._stack)

    @tap("function")
    def function_output(self, op: str, tensor: Tensor) -> None:
        """A functional activation, norm or attention returned `tensor`."""
        if not self._function_counts():
            return
        name = self._functional_name(op)
        self.stages.output(lambda: name, op, tensor, root=self._root if self._stack else 0)

    @tap("function")
    def product_output(self, op: str, parameter: Tensor, tensor: Tensor, args: Any) -> None:
        """A product with a bare parameter returned `tensor`."""
        if not self._function_counts():
            return
        self.parameters.used_by(parameter, op)
        self._leaves[id(parameter)] = weakref.ref(parameter)
        root = self._root if self._stack else 0
        entry = self.stages.output(
            lambda: self.parameters.label(parameter).layer, op, tensor, root=root
        )
        if entry is not None and op != "embedding":
            others = [a for a in args if isinstance(a, Tensor) and a is not parameter]
            self._feed_first(entry, others)

    @tap("loss")
    def loss_output(self, function: Any, args: Any, kwargs: Any, tensor: Tensor) -> None:
        """A loss function returned `tensor`."""
        if tensor.requires_grad:
            self.criterion.saw(function, args, kwargs, tensor)

    # ---- backward

    def before_backward(self, roots: Sequence[Tensor], weights: Any = None) -> None:
        """A backward pass from `roots` is about to run: the place where a frame is closed."""
        self._depth += 1
        if self._depth == 1:
            self._discover(roots)
            if not self._stepping:
                self.close_frame()
            self._begin(roots, weights)

    def after_backward(self, grads: Sequence[tuple[Tensor, Tensor | None]] = ()) -> None:
        """The backward pass ended.

        Args:
            grads: gradients that were returned rather than accumulated, with their leaves.
        """
        self._end(grads)
        self._depth -= 1

    @tap("backward")
    def _discover(self, roots: Sequence[Tensor]) -> None:
        """Find and name the leaves of this graph, where they may be new."""
        n = self._backwards = self._backwards + 1
        alive = self._living()
        if n <= 3 or n & (n - 1) == 0 or len(alive) < len(self._leaves):
            self._leaves = {id(leaf): weakref.ref(leaf) for leaf in alive}
            for leaf in leaves(list(roots)):
                self._leaves[id(leaf)] = weakref.ref(leaf)
            self.parameters.name_all(self._living())
            ordered = self.parameters.in_order(self._living())
            self._leaves = {id(leaf): weakref.ref(leaf) for leaf in ordered}

    def _living(self) -> list[Tensor]:
        found = (reference() for reference in self._leaves.values())
        return [leaf for leaf in found if leaf is not None]

    @tap("backward")
    def _begin(self, roots: Sequence[Tensor], weights: Any) -> None:
        if self._stepping and self._stepped:
            return  # later evaluations of a closure: the first one is the step's loss
        value = sum(_scalar(root, weight) for root, weight in _pairs(roots, weights))
        self.recorder.add_run(loss=value, chance_loss=self.criterion.take(value))

    @tap("backward")
    def _end(self, grads: Sequence[tuple[Tensor, Tensor | None]]) -> None:
        if self._depth != 1:
            return
        if self.measuring:
            self.stages.flush()
            self._hold(grads)
        else:
            self.stages.forget()
        self._ordinals.clear()
        self._stepped = self._stepped or bool(self._stepping)

    def _hold(self, grads: Sequence[tuple[Tensor, Tensor | None]]) -> None:
        """Keep the weights of leaves that no optimiser owns, in case the script updates them."""
        owned = self._owned()
        returned = {id(leaf): grad for leaf, grad in grads}
        self._held = False
        squares = 0.0
        for leaf in self._living():
            grad = returned.get(id(leaf), leaf.grad)
            if id(leaf) not in owned and grad is not None:
                self._held = True
                self.parameters.before([leaf])
                self.parameters.gradient(leaf, grad)
                self.parameters.keep_gradient(leaf, grad)
                squares += float(grad.detach().double().square().sum())
        if self._held:
            self.recorder.put_run(grad_norm=math.sqrt(squares))

    def _owned(self) -> set[int]:
        if self._idle > PATIENCE:
            return set()
        groups = (group for optimizer in self._optimizers for group in optimizer.param_groups)
        return {id(parameter) for group in groups for parameter in group["params"]}

    # ---- step

    @tap("optimizer")
    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser's ``step`` is about to run; nested calls count as one."""
        self.add_optimizer(optimizer)
        self._stepping.append(id(optimizer))
        self._stepped = False
        if len(self._stepping) > 1 or not self.measuring:
            return
        self.recorder.put_run(lr=float(optimizer.param_groups[0].get("lr", math.nan)))
        self.parameters.before(_parameters(optimizer))

    @tap("optimizer")
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser's ``step`` returned."""
        if self._stepping:
            self._stepping.pop()
        self._stepped = True
        if self._stepping or not self.measuring:
            return
        parameters = _parameters(optimizer)
        self.recorder.add_run(predicted_change=self.parameters.after(parameters))
        grads = [p.grad.detach() for p in parameters if p.grad is not None]
        squares = sum(float(grad.double().square().sum()) for grad in grads)
        self.recorder.put_run(grad_norm=math.sqrt(squares))

    # ---- frames

    def close_frame(self, *, last: bool = False) -> None:
        """Write the current frame if its iteration is over.

        Args:
            last: the training has ended; write what there is.
        """
        step = self.recorder.step
        self._close(last)
        if self.recorder.step != step:
            self.on_frame(self.recorder.step)

    @tap("frame")
    def _close(self, last: bool) -> None:
        if not self.recorder.pending:
            return
        leaves_held = self._living() if self._held else []
        by_hand = any(self.parameters.changed(leaf) for leaf in leaves_held)
        if not (by_hand or self._stepped or last or self._waited()):
            return
        if by_hand or not last:  # at the very end, what did not change may simply be gone
            self.recorder.add_run(predicted_change=self.parameters.after(leaves_held))
        self._held = False
        self._stepped = False
        self._idle = 0 if self._idle <= PATIENCE else self._idle
        spent = self.guard.seconds
        self.recorder.commit(spent - self._frame_seconds)
        self._frame_seconds = spent

    def _waited(self) -> bool:
        """Whether a backward without a step counts as a step by now."""
        if not self._optimizers:
            return True
        self._idle += 1
        if self._idle == PATIENCE + 1:
            self.recorder.event("no-optimizer-step", backwards=self._backwards)
        return self._idle > PATIENCE

    def finish(self, *, failed: bool = False) -> None:
        """Write the last frame.

        Args:
            failed: the script raised; write also the forward pass that never came back, for the
                cause may be in it.
        """
        self.close_frame(last=True)
        if failed:
            self._flush_rest()

    @tap("frame")
    def _flush_rest(self) -> None:
        self.stages.flush_all()
        if self.recorder.pending:
            self.recorder.commit(0.0)

    # ---- names

    def _adopt(self, root: nn.Module, prefix: str) -> None:
        if prefix in self._prefixes and prefix:
            prefix = f"{prefix}_{len(self._prefixes)}"
        self._prefixes.add(prefix)
        for path, module in root.named_modules():
            self._names[id(module)] = clean(".".join(part for part in (prefix, path) if part))
        self._modules.append(root)
        self.parameters.add_module(root, self._names)

    def _functional_name(self, op: str) -> str:
        owner = self._names.get(id(self._stack[-1][0]), "") if self._stack else ""
        name = f"{owner}.{op}" if owner else op
        self._ordinals[name] = self._ordinals.get(name, 0) + 1
        count = self._ordinals[name]
        return name if count == 1 else f"{name}_{count}"

    # ---- small questions

    def _is_stage(self, module: nn.Module) -> bool:
        if "Loss" in type(module).__name__:
            return False
        return _has_own_parameters(module) or next(module.children(), None) is None

    def _forward_counts(self, module: nn.Module) -> bool:
        if not self.measuring:
            return False
        if module.training:
            self._trained_in_train_mode = True
        return module.training or not self._trained_in_train_mode

    def _function_counts(self) -> bool:
        return self.measuring and not inside_backward()

    def _feed_first(self, entry: Entry, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            self.stages.feed(entry, tensor)
            break

    def _tap_failed(self, name: str, message: str) -> None:
        self.recorder.event("tap-off", name, message=message)


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


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    groups = optimizer.param_groups
    return [p for group in groups for p in group["params"] if p.requires_grad]


def _pairs(roots: Sequence[Tensor], weights: Any) -> list[tuple[Tensor, Tensor | None]]:
    if isinstance(weights, Tensor) or weights is None:
        weights = [weights] * len(roots)
    return list(zip(roots, weights, strict=False))


def _scalar(root: Tensor, weight: Tensor | None) -> float:
    """What a backward from `root` minimises, as a number."""
    value = root.detach()
    if root.numel() == 1:
        return float(value)
    return float((value if weight is None else value * weight.detach()).sum())
