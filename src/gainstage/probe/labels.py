"""What parameters are called: by their modules' paths, or by the user's variables."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn

from gainstage.probe.kinds import is_stage, matrices, op_of
from gainstage.probe.naming import class_of, clean, name_tensors, paths


@dataclass(frozen=True, slots=True)
class Label:
    """What a parameter is called and where it belongs.

    Attributes:
        name: the path of the parameter.
        layer: the stage that it is part of.
        op: of that stage.
        aliases: its other names.
        alone: whether a product with it is a stage of its own, of its name.
    """

    name: str
    layer: str
    op: str
    aliases: tuple[str, ...] = ()
    alone: bool = False


class Labels:
    """Names each parameter once, and knows which tensor holds a name now."""

    def __init__(self) -> None:
        self._labels: dict[int, Label] = {}
        self._known: dict[int, weakref.ref[Tensor]] = {}
        self._used: dict[int, weakref.ref[Tensor]] = {}
        self._ops: dict[int, str] = {}
        self._holders: dict[str, weakref.ref[Tensor]] = {}
        self._in_modules: dict[str, weakref.ref[Tensor]] = {}
        self._unnamed: list[weakref.ref[Tensor]] = []
        self._given: dict[int, tuple[weakref.ref[Tensor], weakref.ref[Tensor]]] = {}
        self._roots: list[tuple[str, weakref.ref[nn.Module]]] = []

    def add_tree(self, root: nn.Module, prefix: str = "") -> dict[int, str]:
        """Learn the names of a module tree's parameters.

        Args:
            root: the outermost module.
            prefix: of all paths in it.

        Returns:
            The path of each module by ``id``.
        """
        self._roots.append((prefix, weakref.ref(root)))
        found = {}
        for path, module in _under(prefix, root):
            found[id(module)] = path
            for key, parameter in module.named_parameters(recurse=False):
                self._learn(path, module, key, parameter)
        return found

    def _learn(self, path: str, module: nn.Module, key: str, parameter: Tensor) -> None:
        name = clean(f"{path}.{key}")
        held = self._labels.get(id(parameter))
        if held is not None and self.is_known(parameter):
            label = replace(held, aliases=(*held.aliases, name))
        else:
            layer = path or class_of(module).__name__
            label = Label(name, layer, op_of(module), alone=matrices(module) > 1)
            if not is_stage(module):
                label = Label(name, name, self._ops.get(id(parameter), ""), alone=True)
        self._labels[id(parameter)] = label
        self._known[id(parameter)] = weakref.ref(parameter)
        self._in_modules[label.name] = self._known[id(parameter)]

    def _look_again(self) -> None:
        """Learn the names of parameters that modules have made since, in their first call."""
        for prefix, held in self._roots:
            root = held()
            for path, module in () if root is None else _under(prefix, root):
                for key, parameter in module.named_parameters(recurse=False):
                    if not self.is_known(parameter):
                        self._learn(path, module, key, parameter)

    def looked_into(self, module: nn.Module) -> None:
        """What a module keeps was seen in products: each says what is done with it.

        Several matrices are layers of their own.
        """
        for parameter in module.parameters(recurse=False):
            label = self.get(parameter)
            op = self._ops.get(id(parameter), "")
            if label is not None and (label.alone or op):
                layer = label.name if label.alone else label.layer
                self._labels[id(parameter)] = replace(label, layer=layer, op=op)

    def used_by(self, parameter: Tensor, op: str) -> None:
        """Note that a parameter outside any module takes part in an operation."""
        self._ops.setdefault(id(parameter), op)
        self._used[id(parameter)] = weakref.ref(parameter)

    @property
    def any_used(self) -> bool:
        """Whether a parameter was noted since the last time."""
        return bool(self._used)

    def take_used(self) -> dict[int, weakref.ref[Tensor]]:
        """The parameters noted since the last time, by id."""
        used, self._used = self._used, {}
        return used

    def reference(self, parameter: Tensor) -> weakref.ref[Tensor]:
        """A weak reference to a parameter that has a label."""
        return self._known[id(parameter)]

    def release(self) -> None:
        """Forget all of them."""
        for held in (self._labels, self._known, self._used, self._holders, self._in_modules):
            held.clear()
        self._given.clear()
        self._roots.clear()

    def stand_in(self, alias: Tensor, given: Tensor, key: str) -> None:
        """Let a tensor stand for another one of the user's.

        Args:
            alias: it gets the label.
            given: what the user has variables for.
            key: its name among the parameters of a module for which it stands, if it is one.
        """
        own = self._in_module(key)
        if own is None:  # a module that met its aliases only has its own parameters again
            self._look_again()
            own = self._in_module(key)
        if own is not None and own.shape == given.shape:
            label = self._labels[id(alias)] = self._labels[id(own)]
            self._known[id(alias)] = self._holders[label.name] = weakref.ref(alias)
        else:
            self._given = {i: pair for i, pair in self._given.items() if pair[0]() is not None}
            self._given[id(alias)] = weakref.ref(alias), weakref.ref(given)

    def _in_module(self, key: str) -> Tensor | None:
        """The one parameter of a module that has this name, or ends with it; None if several do."""
        found = [
            parameter
            for name, held in self._in_modules.items()
            if key and f".{name}".endswith(f".{key}") and (parameter := held()) is not None
        ]
        return found[0] if len(found) == 1 else None

    def outside_modules(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        """Those of the parameters that no module has, or has any more."""
        held = {id(held()) for held in self._in_modules.values()}
        return [parameter for parameter in parameters if id(parameter) not in held]

    def name_all(self, parameters: Iterable[Tensor]) -> None:
        """Give a name to each parameter that has none yet, by the user's variables."""
        unknown = [p for p in parameters if not self.is_known(p)]
        if unknown:
            self._look_again()
            unknown = [p for p in unknown if not self.is_known(p)]
        if not unknown:
            return
        held_by_user = [self._given_for(p) for p in unknown]
        by_user = name_tensors(held_by_user)
        found = {
            id(p): by_user[id(g)]
            for p, g in zip(unknown, held_by_user, strict=True)
            if id(g) in by_user
        }
        taken = {name for name, held in self._in_modules.items() if held() is not None}
        for parameter in unknown:
            name = found.get(id(parameter)) or self._number(parameter)
            if name in taken:  # two variables of one name, in two scopes; or a model's parameter
                numbered = (f"{name}_{i}" for i in itertools.count(1))
                name = next(other for other in numbered if other not in taken)
            taken.add(name)
            op = self._ops.get(id(parameter), "")
            self._labels.pop(id(parameter), None)  # of a tensor that is gone: the order is new
            self._labels[id(parameter)] = Label(name, name, op)
            self._known[id(parameter)] = self._holders[name] = weakref.ref(parameter)

    def _given_for(self, parameter: Tensor) -> Tensor:
        """What the user has a variable for: the parameter, or what it stands for."""
        alias, given = self._given.get(id(parameter), (None, None))
        held = given() if given is not None and alias is not None and alias() is parameter else None
        return parameter if held is None else held

    def layer_of(self, reference: weakref.ref[Tensor], op: str) -> str:
        """The layer, by now, of a parameter that must not be kept alive; `op` if it is gone."""
        parameter = reference()
        return op if parameter is None else self.of(parameter).layer

    def is_latest(self, parameter: Tensor) -> bool:
        """Whether no newer tensor has taken over the parameter's name."""
        holder = self._holders.get(self.of(parameter).name)
        return holder is None or holder() is parameter

    def _number(self, parameter: Tensor) -> str:
        """A name for a tensor that no variable holds; numbers of tensors that are gone return."""
        free = (i for i, held in enumerate(self._unnamed) if held() is None)
        number = next(free, len(self._unnamed))
        self._unnamed[number : number + 1] = [weakref.ref(parameter)]
        return f"parameter_{number}"

    def in_order(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        """Parameters in the order in which they were named: that of their modules."""
        rank = {ident: i for i, ident in enumerate(self._labels)}
        return sorted(parameters, key=lambda p: rank.get(id(p), len(rank)))

    def get(self, parameter: Tensor) -> Label | None:
        """The label of a parameter that has one."""
        return self._labels.get(id(parameter)) if self.is_known(parameter) else None

    def of(self, parameter: Tensor) -> Label:
        """The label of a parameter; it is named now if it had to be."""
        if not self.is_known(parameter):
            self.name_all([parameter])
        return self._labels[id(parameter)]

    def is_known(self, parameter: Tensor) -> bool:
        """Whether a parameter has a label."""
        reference = self._known.get(id(parameter))
        return reference is not None and reference() is parameter


def _under(prefix: str, root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of a tree with their paths below a prefix."""
    for path, module in paths(root):
        yield ".".join(filter(None, (prefix, path))), module
