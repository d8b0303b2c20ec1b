"""A model's outputs at many points of a plane in weight space, with as few operations as can be.

What saves work: the user's model is copied once and written into. A layer that is linear in its
weights and whose input does not depend on any weight (the first one) has an output that is linear
in the plane's coordinates: three products serve all points. Weights that do not move are left
alone, and along a row only one of the two directions is added. Small models are evaluated at many
points at once by ``torch.func.vmap``.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from gainstage.landscape.directions import Weights

BatchNormMode: TypeAlias = Literal["batch", "recalibrated", "running"]

LINEAR: Final = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Modules whose output is linear in their weights; exactly these, as a subclass may do more."""

SMALL: Final = 2**18
"""Bytes of activations and moving weights up to which points are worth stacking."""

CACHED: Final = 2**20
"""Bytes of outputs that one stack may have however much memory there is: more leaves the cache."""


class Evaluator:
    """Outputs of a model on one batch, at points of a plane.

    Args:
        model: is copied, never touched.
        inputs: positional arguments of the model.
        origin: the weights at (0, 0), and buffers where it has any.
        directions: one or two; names that are missing do not move.
        batch_norm: ``"batch"``: BatchNorm uses the statistics of the batch; ``"recalibrated"``:
            they are measured anew at each point and then used as in evaluation; ``"running"``:
            those of the origin.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: tuple[Any, ...],
        origin: Weights,
        directions: Sequence[Weights],
        batch_norm: BatchNormMode,
    ) -> None:
        self._model = copy.deepcopy(model).eval()
        for name, buffer in self._model.named_buffers():
            if name in origin:
                buffer.copy_(origin[name])
        self._inputs, self._recalibrated = inputs, batch_norm == "recalibrated"
        self._norms = [one for one in self._model.modules() if isinstance(one, _BatchNorm)]
        if batch_norm == "batch":
            for norm in self._norms:
                norm.running_mean = norm.running_var = norm.num_batches_tracked = None
                norm.track_running_stats = False
        self._weights = dict(self._model.named_parameters())
        self._move_to(origin)
        moving = {name for d in directions for name, step in d.items() if step.any()}
        for name, parameter in self._weights.items():
            parameter.requires_grad_(name in moving)
        linear, self.bytes = self._first_layers(origin, directions)
        self._model.requires_grad_(requires_grad=False)
        self._products = {
            module: list(_products(module, prefix, data, directions))
            for module, (prefix, data) in linear.items()
        }
        moving -= {
            f"{prefix}{name}"
            for module, (prefix, _) in linear.items()
            for name, _ in module.named_parameters()
        }
        self._moving = {name: p for name, p in self._weights.items() if name in moving}
        self._zero = {name: p.detach().clone() for name, p in self._moving.items()}
        self._directions = [{n: t for n, t in d.items() if n in moving} for d in directions]
        self._at: tuple[Tensor, ...] = ()
        self._row: dict[nn.Module, Tensor] = {}
        for module in self._products:
            module.forward = self._linear(module)
        self.bytes += sum(p.numel() * p.element_size() for p in self._zero.values())

    @property
    def stacked(self) -> bool:
        """Whether points are evaluated many at a time."""
        return self.bytes <= SMALL and not (self._norms and self._recalibrated)

    def chunk(self, memory: int) -> int:
        """How many points fit into so many bytes, at least one."""
        return max(1, min(memory, CACHED) // max(1, self.bytes))

    def together(self, judge: Callable[[Any], Tensor], *coordinates: Tensor) -> Tensor:
        """What `judge` makes of the outputs [point, ...] at coordinates [point] along each axis."""

        def at(*one: Tensor) -> Tensor:
            self._at = one
            weights = {
                name: _moved(zero, one, [d.get(name) for d in self._directions])
                for name, zero in self._zero.items()
            }
            return judge(functional_call(self._model, weights, self._inputs))

        stacked: Tensor = vmap(at)(*coordinates)
        return stacked

    def row(self, xs: Sequence[float], y: float) -> Iterator[Any]:
        """Outputs at (x, y) for each x: the second direction is added once."""
        along, across = self._directions
        base = {n: z.add(across[n], alpha=y) if n in across else z for n, z in self._zero.items()}
        parts = {m: zero.add(step, alpha=y) for m, (zero, _, step) in self._products.items()}
        self._at = ()
        for x in xs:
            for name, parameter in self._moving.items():
                if name in along:
                    torch.add(base[name], along[name], alpha=x, out=parameter.data)
                else:
                    parameter.data = base[name]
            self._row = {m: p.add(self._products[m][1], alpha=x) for m, p in parts.items()}
            self._recalibrate()
            yield self._model(*self._inputs)

    def _linear(self, module: nn.Module) -> Callable[..., Tensor]:
        def forward(*_: Any) -> Tensor:
            if not self._at:
                return self._row[module]
            return _moved(self._products[module][0], self._at, self._products[module][1:])

        return forward

    def _recalibrate(self) -> None:
        if not (self._norms and self._recalibrated):
            return
        for norm in self._norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        self._model(*self._inputs)
        for norm in self._norms:
            norm.eval()

    def _first_layers(
        self, origin: Weights, directions: Sequence[Weights]
    ) -> tuple[dict[nn.Module, tuple[str, Tensor]], int]:
        """Linear modules that see the data itself, with prefix and input; bytes of all outputs."""
        names = {m: f"{name}." if name else "" for name, m in self._model.named_modules()}
        with torch.enable_grad():
            calls, total = self._calls(names)
        found = {
            module: (names[module], inputs[0])
            for module, inputs in calls.items()
            if type(module) in LINEAR and self._own(module)
            if len(inputs) == 1 and not inputs[0].requires_grad
        }
        if found:
            # an input that was detached, or computed without a graph, moves all the same
            away = {n: origin[n] + sum(d[n] for d in directions if n in d) for n in self._weights}
            self._move_to(away)
            again, _ = self._calls(names)
            self._move_to(origin)
            found = {m: seen for m, seen in found.items() if torch.equal(seen[1], again[m][0])}
            found = {m: seen for m, seen in found.items() if not self._used_elsewhere(m, away)}
        return found, total

    def _used_elsewhere(self, module: nn.Module, away: Weights) -> bool:
        """Whether a module's weights count beside its own call.

        Those of a table do that is read out again by hand. It shows when the module's output is
        held and moving its weights changes what the model puts out all the same.
        """
        outputs: list[Any] = []
        with module.register_forward_hook(lambda *call: outputs.append(call[-1].clone())):
            before = self._model(*self._inputs)
        names = {id(p): name for name, p in self._weights.items()}
        kept = [(p, p.detach().clone()) for p in module.parameters()]
        for p, _ in kept:
            p.data.copy_(away[names[id(p)]])
        with module.register_forward_hook(lambda *_: outputs[0].clone()):
            after = self._model(*self._inputs)
        for p, value in kept:
            p.data.copy_(value)
        ends = zip(tree_leaves(before), tree_leaves(after), strict=True)
        pairs = [(a, b) for a, b in ends if isinstance(a, Tensor)]
        return not pairs or not all(torch.equal(a, b) for a, b in pairs)

    def _calls(self, modules: Mapping[nn.Module, str]) -> tuple[dict[nn.Module, list[Tensor]], int]:
        """The inputs of each call of each module that takes one tensor; bytes of all outputs."""
        found: dict[nn.Module, list[Tensor]] = {}
        total = 0

        def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            nonlocal total
            if isinstance(output, Tensor):
                total += output.numel() * output.element_size()
            if len(args) == 1 and isinstance(args[0], Tensor):
                found.setdefault(module, []).append(args[0])

        handles = [m.register_forward_hook(note) for m in modules if not any(m.children())]
        try:
            self._model(*self._inputs)
        finally:
            for handle in handles:
                handle.remove()
        return found, total

    def _move_to(self, weights: Weights) -> None:
        for name, parameter in self._weights.items():
            parameter.data.copy_(weights[name])

    def _own(self, module: nn.Module) -> bool:
        """Whether a module's weights are its own and plain: not tied, not made of others."""
        uses = Counter(id(p) for _, p in self._model.named_parameters(remove_duplicate=False))
        plain = {name for name, _ in module.named_parameters()} <= {"weight", "bias"}
        renormalizes = getattr(module, "max_norm", None) is not None
        return plain and not renormalizes and all(uses[id(p)] == 1 for p in module.parameters())


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, for the temporaries of the next points.

    A block that is freed raises glibc's threshold of what is given back to the system at once.
    Below it, each temporary of a megabyte has its pages fetched anew, which takes longer than the
    arithmetic. This block is never written to and so costs nothing; other libraries ignore it.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _products(
    module: nn.Module, prefix: str, data: Tensor, directions: Sequence[Weights]
) -> Iterator[Tensor]:
    """What a linear module makes of its input at the origin, and of each direction alone."""
    yield module(data)
    for direction in directions:
        weights = {
            name: direction.get(f"{prefix}{name}", torch.zeros_like(p))
            for name, p in module.named_parameters()
        }
        yield functional_call(module, weights, (data,))


def _moved(
    zero: Tensor, coordinates: Sequence[Tensor], directions: Sequence[Tensor | None]
) -> Tensor:
    for coordinate, direction in zip(coordinates, directions, strict=True):
        if direction is not None:
            zero = torch.addcmul(zero, coordinate, direction)
    return zero
