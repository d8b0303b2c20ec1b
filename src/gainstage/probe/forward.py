"""The forward half of the probe: modules, functional calls and losses become stages."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from gainstage.probe import kinds
from gainstage.probe.calls import OpenCalls
from gainstage.probe.compiled import Compiled
from gainstage.probe.criterion import Criterion
from gainstage.probe.guard import Guard, tap
from gainstage.probe.health import Health
from gainstage.probe.labels import Labels
from gainstage.probe.naming import class_of, enclosing_module, in_plain_container
from gainstage.probe.places import Place
from gainstage.probe.recorder import Recorder
from gainstage.probe.stages import Stages
from gainstage.probe.traced import CompiledStage
from gainstage.torch_private import inside_backward


class Forward:
    """Follows which modules run, names what they call, and has their outputs measured.

    Args:
        recorder: where numbers go.
        guard: what keeps failures from the user.
        labels: learns of modules' and bare parameters.
        wanted: says by name which stages are measured; None for all.

    Attributes:
        measuring: whether the step that a forward pass belongs to is measured.
    """

    def __init__(
        self,
        recorder: Recorder,
        guard: Guard,
        labels: Labels,
        wanted: Callable[[str], bool] | None = None,
    ) -> None:
        self._wanted = wanted
        self.guard = guard
        self.stages = Stages(recorder, guard)
        self.compiled = Compiled(recorder, self.stages, guard)
        self.health = Health(recorder)
        self.criterion = Criterion()
        self._recorder = recorder
        self._labels = labels
        self.measuring = True
        self._names: dict[int, str] = {}
        self._modules: list[nn.Module] = []  # keeps ids in _names valid
        self._prefixes: set[str] = set()
        self._places: dict[int | str, Place] = {}  # by id of the module, or by name
        self._calls: OpenCalls[nn.Module] = OpenCalls()
        self._root = 1
        self._roots: set[int] = set()  # ids of outermost modules called since ordinals began
        self._ordinals: dict[str, int] = {}
        self._asleep = False  # the outermost module that runs is in evaluation mode
        self._inner: tuple[str, weakref.ref[Tensor]] | None = None  # the last one within a stage
        self._plain: dict[str, None] = {}  # lists that torch does not see into
        self._seen = 0  # functional calls that are stages
        self._opened: dict[int, int] = {}  # modules that are looked into: how many those were then

    def add_model(self, root: nn.Module, prefix: str = "") -> None:
        """Learn the names of a model's modules and parameters."""
        if prefix in self._prefixes and prefix:
            prefix = f"{prefix}_{len(self._prefixes)}"
        self._prefixes.add(prefix)
        self._names.update(self._labels.add_tree(root, prefix))
        self._modules.append(root)

    def expect_stages(self) -> None:
        """A step is to call the first forward pass itself: rank the stages as they were made."""
        for root in self._modules:
            for module in self.stages_of(root):
                self._recorder.order(self.place_of(module).layer())

    def begin_root(self, module: nn.Module) -> None:
        """An outermost call begins: a stage that needs no gradient belongs to the one it is in.

        Of a module that was called already it begins another pass, whose functional calls have the
        names of the first: those of repeated modules, ``relu#2``, are left to tell them apart.
        """
        self._root += 1
        self._asleep = not module.training
        if id(module) in self._roots:
            self._ordinals.clear()
            self._roots.clear()
        self._roots.add(id(module))

    @tap("module")
    def enter_module(self, module: nn.Module, inputs: Any = ()) -> None:
        """A module's forward is about to run."""
        if self._calls.enter(module):
            self.begin_root(module)
            if id(module) not in self._names and not kinds.is_criterion(module):
                root, variable, alone = enclosing_module(module)
                self.add_model(root, "" if alone else variable)
        elif id(module) not in self._names:
            owner, name, key = in_plain_container(self._calls.all, module)
            if name:
                path = self._names.get(id(owner), "")
                self.add_model(module, ".".join(filter(None, (path, name, key))))
                self._plain[name] = None
        self._opened.pop(id(module), None)
        if kinds.matrices(module) and not kinds.is_cell(inputs):
            self._opened[id(module)] = self._seen

    @tap("module")
    def leave_module(self, module: nn.Module, inputs: Any, output: Any, *, with_grad: bool) -> None:
        """A module's forward returned `output`; `with_grad` tells whether autograd recorded it."""
        if not self._calls.leave(module):
            return
        before = self._opened.pop(id(module), None)
        if before is not None and (self._seen > before or inside_backward()):
            self._labels.looked_into(module)
            return
        if not kinds.is_stage(module):
            return
        place = self.place_of(module)
        if self.measuring and self._wants(place) and not self.inside_module():
            self._learn_op(module, place, inputs, output)
            self.stage_output(module, place, inputs, output, with_grad)

    def _learn_op(self, module: nn.Module, place: Place, given: Any, output: Any) -> None:
        """A user's module that returns what an activation in it returned is that activation."""
        inner, self._inner = self._inner, None
        if place.made or place.op != class_of(module).__name__ or kinds.has_own_parameters(module):
            return
        if inner is not None and inner[1]() is output:
            place.op = inner[0]
        elif kinds.is_rectified(kinds.first_tensor(given), output):
            place.op = "relu"

    def stage_output(
        self, module: nn.Module, place: Place, inputs: Any, output: Any, with_grad: bool
    ) -> None:
        """A module that is a stage returned `output`, in a step that is measured.

        Args:
            module: the module.
            place: the stage.
            inputs: its positional arguments.
            output: what it returned.
            with_grad: whether autograd recorded its call.
        """
        tensor = output if type(output) is Tensor else kinds.first_tensor(output)
        if tensor is None:
            return
        if not with_grad:
            self._without_grad(module, place, tensor, kinds.first_tensor(inputs))
            return
        within = inside_backward()
        if within and self.stages.again(place, tensor):
            return
        entry = self.stages.output(place, tensor, root=self._root)
        if entry is None:
            return
        if within:
            self.stages.held.recomputed(entry)
        entry.asleep = self._asleep and place.has_modes and not module.training
        if self.stages.feeding:
            self.stages.look_at_input(entry, module, kinds.first_tensor(inputs))

    def _without_grad(
        self, module: nn.Module, place: Place, tensor: Tensor, given: Tensor | None
    ) -> None:
        self.criterion.written.ran_apart()
        if module.training and tensor.is_floating_point():  # a checkpoint's first pass, maybe
            self._recorder.order(place.layer())  # only its place is kept
        elif not module.training and place.takes_data and given is not None and not given.is_nested:
            self.stages.evaluation.compare(place.layer(), given)

    def stages_of(self, model: nn.Module) -> Iterator[nn.Module]:
        """The modules that are measured: the outermost stages of a model."""
        if kinds.is_stage(model):
            if self._wants(self.place_of(model)):
                yield model
            return
        for child in kinds.parts(model):
            yield from self.stages_of(child)

    def _wants(self, place: Place) -> bool:
        return self._wanted is None or self._wanted(place.layer())

    def place_of(self, module: nn.Module) -> Place:
        """The stage that a module is."""
        name = self._names.get(id(module))
        kind = class_of(module).__name__
        if name is None:  # known by nobody: its id may be another's tomorrow
            return self._place(kind, kinds.op_of(module), module)
        place = self._places.get(id(module))
        if place is None:
            called = name or kind
            place = Place(lambda: called, kinds.op_of(module), module)
            place.takes_data = kinds.has_own_parameters(module)
            self._places[id(module)] = place
        return place

    def compiled_stage(self, module: nn.Module) -> CompiledStage:
        """What measures a stage where it runs inside a compiled graph."""
        place = self.place_of(module)
        self.health.expect(self._modules[-1], module, place)
        return self.compiled.stage(place, module)

    def _place(self, name: str, op: str, module: nn.Module | None = None) -> Place:
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = Place(lambda: name, op, module)
        return place

    def inside_module(self) -> bool:
        """Whether a measured module is running, which stands for what it calls."""
        return any(kinds.is_stage(one) and id(one) not in self._opened for one in self._calls.all)

    def function_output(self, op: str, tensor: Tensor) -> None:
        """A functional activation, norm or attention returned `tensor`."""
        if not self.measuring or inside_backward():
            return
        if not tensor.requires_grad and self._calls.innermost is None:
            return  # data in the making
        if self.inside_module():
            self._inner = op, weakref.ref(tensor)
            return
        place = self._place(self._functional_name(op), op)
        if not self._wants(place):
            return
        self.stages.output(place, tensor, root=self._calling())
        self._seen += 1

    def product_output(self, op: str, parameter: Tensor, tensor: Tensor, args: Any) -> None:
        """A product with a bare parameter returned `tensor`."""
        if not self.measuring or inside_backward():
            return
        self._labels.used_by(parameter, op)
        place = self._place_by(parameter, op)
        if not self._wants(place):
            return
        entry = self.stages.output(place, tensor, root=self._calling())
        self._seen += 1
        if entry is not None and op != "embedding" and self.stages.feeding:
            others = (a for a in args if isinstance(a, Tensor) and a is not parameter)
            self.stages.feed(entry, next(others, None))

    def _place_by(self, parameter: Tensor, op: str) -> Place:
        """The stage of a bare parameter; made anew while its name is not known yet."""
        label = self._labels.get(parameter)
        if label is None:
            return Place(partial(self._labels.layer_of, weakref.ref(parameter), op), op)
        return self._place(label.name if label.alone else label.layer, op)

    def loss_output(self, function: Any, args: Any, kwargs: Any, tensor: Tensor) -> None:
        """A loss function returned `tensor`."""
        if tensor.requires_grad:
            self.criterion.saw(function, args, kwargs, tensor)

    def differentiated(self, *, measured: bool) -> None:
        """A backward pass went through what was seen: record it, or drop it unmeasured."""
        if measured:
            self.stages.flush()
            self.compiled.flush()
            self.health.look()
        else:
            self.stages.forget()
            self.compiled.forget()
        self._ordinals.clear()
        self._roots.clear()

    @property
    def facts(self) -> dict[str, Any]:
        """What was learnt of the loss and of evaluations."""
        plain = {"plain_containers": list(self._plain)} if self._plain else {}
        return {**self.criterion.facts, **self.stages.evaluation.facts, **plain}

    def release(self) -> None:
        """Let go of the user's modules and tensors."""
        self.stages.forget()
        self.compiled.release()
        self.health.release()
        self._calls.clear()
        self._modules.clear()
        self._names.clear()
        self._places.clear()

    def _functional_name(self, op: str) -> str:
        owner = self._names.get(id(self._calls.innermost), "")
        name = f"{owner}.{op}" if owner else op
        self._ordinals[name] = self._ordinals.get(name, 0) + 1
        count = self._ordinals[name]
        return name if count == 1 else f"{name}_{count}"

    def _calling(self) -> int:
        """Number of the outermost module call that is running; 0 if none is."""
        return self._root if self._calls.innermost is not None else 0
