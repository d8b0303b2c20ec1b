"""Which activation feeds each weight, and which weights make up a residual branch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from gainstage.errors import UsageError
from gainstage.init.activations import activation
from gainstage.init.moments import Call
from gainstage.init.propagation.elementwise import function_of
from gainstage.init.tape import Node, Ref, Tape
from gainstage.init.vocabulary import ACTIVATIONS, ADDS, LEVELLERS, NORMS, PRODUCTS

Function = Callable[[Tensor], Tensor]

Kind = Literal["weight", "activation", "passing", "norm", "add", "other"]

_WEIGHT_MODULES: Final = (
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.MultiheadAttention,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.modules.conv._ConvNd,  # noqa: SLF001 - the base of all convolutions
)

_BY_HAND: Final = frozenset({"matmul", "mm", "addmm"})
"""Products that know of no first and second axis of a weight."""


@dataclass(eq=False, slots=True)
class Vertex:
    """One call, as far as initialisation cares.

    Attributes:
        kind: what it does to a level.
        inputs: vertices that it takes.
        weights: ids of the parameters that it multiplies by.
        function: of an activation.
        name: of the activation.
        flipped: whether the weight's first axis is the input.
    """

    kind: Kind
    inputs: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    function: Function | nn.Module | None = None
    name: str = ""
    flipped: bool = False


@dataclass(slots=True)
class Wiring:
    """The calls of a model in order."""

    vertices: list[Vertex] = field(default_factory=list)

    def feeding(self, index: int) -> Vertex | None:
        """The activation whose output a vertex multiplies by its weight, if there is one.

        Views, dropout and pooling between them do not count; a norm, a sum or a product does, for
        it sets a level of its own.
        """
        at = self.vertices[index].inputs[:1]
        while at:
            vertex = self.vertices[at[0]]
            if vertex.kind == "activation":
                return vertex
            if vertex.kind != "passing":
                return None
            at = vertex.inputs[:1]
        return None

    def following(self, index: int) -> Vertex | None:
        """The activation that a vertex's output enters, if there is one."""
        while True:
            after = [i for i, v in enumerate(self.vertices) if index in v.inputs]
            if not after:
                return None
            first = self.vertices[after[0]]
            if first.kind == "activation":
                return first
            if first.kind not in {"passing", "norm"}:
                return None
            index = after[0]

    def of_weights(self) -> dict[int, int]:
        """The first vertex that multiplies by each parameter, by the parameter's id."""
        found: dict[int, int] = {}
        for index, vertex in enumerate(self.vertices):
            for weight in vertex.weights:
                found.setdefault(weight, index)
        return found

    def branches(self) -> list[list[int]]:
        """The vertices with weights of each residual branch, in order.

        A branch ends in a sum whose other term is where the branch began, or what a layer with
        weights made of it (a projected shortcut).
        """
        found = []
        for vertex in self.vertices:
            if vertex.kind != "add" or len(vertex.inputs) != 2:
                continue
            one, two = vertex.inputs
            if one == two:
                continue
            line = self._branch(one, two) or self._branch(two, one)
            weights = [i for i in line if self.vertices[i].kind == "weight"]
            if weights:
                found.append(weights)
        return found

    def _branch(self, end: int, stream: int) -> list[int]:
        """What lies between `stream` and `end`, if `end` was made of `stream`; else nothing."""
        reached, pending = {end}, [end]
        touched = False
        while pending:
            at = pending.pop()
            for source in self.vertices[at].inputs:
                if source == stream:
                    touched = True
                elif source > stream and source not in reached:
                    reached.add(source)
                    pending.append(source)
        return sorted(reached) if touched else []


def of_tape(tape: Tape, model: nn.Module) -> Wiring:
    """The wiring of a traced forward pass."""
    own = {id(p) for p in model.parameters()}
    return Wiring([_vertex(node, own) for node in tape.nodes])


def _vertex(node: Node, own: set[int]) -> Vertex:
    op = node.op
    leaves = pytree.tree_leaves((node.args, node.kwargs))
    weights = tuple(id(leaf) for leaf in leaves if isinstance(leaf, Tensor) and id(leaf) in own)
    if weights and op in PRODUCTS:
        # of `x @ w` the weight comes last, in whatever way it was passed
        flipped = op in _BY_HAND and isinstance(leaves[-1], Tensor) and id(leaves[-1]) in own
        return Vertex("weight", node.inputs, weights, flipped=flipped)
    if op in ACTIVATIONS and node.function is not None:
        rest = pytree.tree_map(lambda leaf: None if isinstance(leaf, Ref) else leaf, node.args[1:])
        call = Call(node.function, (None, *rest), node.kwargs, 0, (), training=True, samples=1)
        return Vertex("activation", node.inputs, function=function_of(call), name=op)
    return Vertex(_kind(op), node.inputs)


def _kind(op: str) -> Kind:
    if op in NORMS:
        return "norm"
    if op in ADDS:
        return "add"
    return "other" if op in LEVELLERS or op in PRODUCTS else "passing"


class _Tracer(fx.Tracer):
    """Looks into every module with parts, but for those that multiply by weights themselves."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one call."""
        del module_qualified_name
        return isinstance(m, _WEIGHT_MODULES) or (not any(m.children()) and _is_torchs(m))


def _is_torchs(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn")


def of_modules(model: nn.Module) -> Wiring:
    """The wiring as ``torch.fx`` finds it, without a batch.

    Raises:
        UsageError: the forward depends on its data; a batch is needed.
    """
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # anything that a user's forward does may fail on a proxy
        msg = (
            f"The wiring of {type(model).__name__} cannot be read without data "
            f"({type(error).__name__}: {(str(error).splitlines() or [''])[0]}). "
            "Give a batch: apply_(model, scheme, batch=x)."
        )
        raise UsageError(msg) from error
    modules = dict(model.named_modules())
    index = {node: i for i, node in enumerate(graph.nodes)}
    return Wiring([_fx_vertex(node, modules, index, model) for node in graph.nodes])


def _fx_vertex(
    node: fx.Node, modules: dict[str, nn.Module], index: dict[fx.Node, int], model: nn.Module
) -> Vertex:
    inputs = tuple(index[n] for n in node.all_input_nodes if n.op != "get_attr")
    if node.op == "call_module":
        return _of_module(modules[str(node.target)], inputs)
    if node.op in {"call_function", "call_method"}:
        name = str(getattr(node.target, "__name__", node.target)).strip("_")
        read = [n for n in node.all_input_nodes if n.op == "get_attr"]
        held = tuple(id(_attribute(model, str(n.target))) for n in read)
        if held and name in PRODUCTS:
            flipped = name in _BY_HAND and node.all_input_nodes[-1] in read
            return Vertex("weight", inputs, held, flipped=flipped)
        if name in ACTIVATIONS:
            return Vertex("activation", inputs, function=_functional(name, node), name=name)
        return Vertex(_kind(name), inputs)
    return Vertex("other", inputs)


def _functional(name: str, node: fx.Node) -> Function:
    rest = node.args[1:]
    kwargs = {k: v for k, v in node.kwargs.items() if k != "inplace"}
    if callable(node.target):
        target: Any = node.target
        return lambda x: target(x, *rest, **kwargs)
    return activation(name).function


def _attribute(model: nn.Module, path: str) -> Any:
    value: Any = model
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _of_module(module: nn.Module, inputs: Iterable[int]) -> Vertex:
    given = tuple(inputs)
    name = type(module).__name__
    if isinstance(module, _WEIGHT_MODULES):
        return Vertex("weight", given, tuple(id(p) for p in module.parameters()))
    if "Norm" in name:
        return Vertex("norm", given)
    try:
        found = activation(module) if not any(module.children()) else None
    except UsageError:
        found = None
    if found is None or isinstance(module, nn.Identity):
        return Vertex("passing", given)
    return Vertex("activation", given, function=found.function, name=name)
