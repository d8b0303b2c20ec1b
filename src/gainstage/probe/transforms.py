"""Gradients by ``torch.func``, taken by ordinary autograd while somebody watches.

Inside ``torch.func.grad`` and ``grad_and_value`` tensors have no values that could be read, and
the backward pass is none that we hear of. Outermost, and of a scalar, each is what autograd finds
for aliases of its arguments, with the same kernels and so the same bits. Within another transform
(``vmap``, ``jvp``, a further ``grad``) torch's own runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from gainstage.probe import graph
from gainstage.probe.probe import Probe
from gainstage.probe.wrappers import Installation, Patch
from gainstage.torch_private import flattened, functional_gradients, inside_transform


class _Alias(NamedTuple):
    """A tensor that gradients are asked for, and what the function is given in its place.

    Attributes:
        given: the user's tensor.
        alias: the same memory; a leaf, or where `given` wants a gradient itself, a view of it.
        key: its last name in the arguments, if it stands in a dictionary.
    """

    given: Tensor
    alias: Tensor
    key: str

    @property
    def leaf(self) -> Tensor:
        """Where the graph ends."""
        return self.given if self.given.requires_grad else self.alias


def _gradients(here: Installation) -> Callable[..., Any]:
    is_compiling = torch.compiler.is_compiling

    def gradients(func: Any, argnums: Any, has_aux: bool, args: Any, kwargs: Any) -> Any:
        if not here.listeners or is_compiling() or inside_transform():
            return here.original(func, argnums, has_aux, args, kwargs)
        with torch.enable_grad():
            found = _aliases(argnums, args)
        if found is None:
            return here.original(func, argnums, has_aux, args, kwargs)
        aliases, rebuild, aliased = found
        outer = torch.is_grad_enabled()
        with torch.enable_grad():
            answer = func(*aliased, **kwargs)
            output = answer[0] if has_aux and isinstance(answer, tuple) and answer else answer
            if not _is_scalar(output) or (has_aux and (answer is output or len(answer) != 2)):
                # torch's own error for such an answer
                return here.original(lambda *_, **__: answer, argnums, has_aux, args, kwargs)
            grads, differentiable = _differentiate(here.listeners, output, aliases)
        if not (outer and differentiable):
            grads = [grad.detach() for grad in grads]
            leaves, _, rebuild_answer = flattened(answer)
            answer = rebuild_answer([_detached(leaf) for leaf in leaves])
        return rebuild(grads), answer

    return gradients


def _aliases(
    argnums: Any, args: tuple[Any, ...]
) -> tuple[list[_Alias], Callable[[list[Tensor]], Any], list[Any]] | None:
    """Aliases of all tensors to differentiate by, how gradients are returned, and the arguments.

    None where torch's own is to run, or to refuse.
    """
    single = isinstance(argnums, int)
    numbers = [argnums] if single else list(argnums) if isinstance(argnums, tuple) else []
    if not numbers or not all(isinstance(n, int) and -len(args) <= n < len(args) for n in numbers):
        return None
    if len({n % len(args) for n in numbers}) < len(numbers):
        return None
    chosen = args[argnums] if single else tuple(args[n] for n in numbers)
    tensors, keys, rebuild = flattened(chosen)
    if not tensors or not all(_is_real(tensor) for tensor in tensors):
        return None
    aliases = [
        _Alias(t, t.view_as(t) if t.requires_grad else t.detach().requires_grad_(), key)
        for t, key in zip(tensors, keys, strict=True)
    ]
    replaced = rebuild([one.alias for one in aliases])
    aliased = list(args)
    for number, value in zip(numbers, [replaced] if single else replaced, strict=True):
        aliased[number] = value
    return aliases, rebuild, aliased


def _differentiate(
    probes: Sequence[Probe], output: Tensor, aliases: Sequence[_Alias]
) -> tuple[list[Tensor], bool]:
    """The gradients, and whether they depend on anything that wants a gradient itself."""
    ends = {id(leaf) for leaf in graph.leaves([output])}
    differentiable = not ends <= {id(one.alias) for one in aliases}
    penalty = not ends <= {id(one.leaf) for one in aliases}  # something else is trained by it
    begun: list[Probe] = []
    grads: list[Tensor] = []
    try:
        for probe in () if penalty else probes:
            if probe.guard.shield("backward", _begin, probe, output, aliases):
                begun.append(probe)  # noqa: PERF401 - known also if a later one ends it
        # with its graph, as torch.func does it, and so that no probe takes this call for another
        found = (
            torch.autograd.grad(
                output, [one.alias for one in aliases], create_graph=True, allow_unused=True
            )
            if output.requires_grad
            else [None] * len(aliases)
        )
        grads = [
            torch.zeros_like(one.alias) if grad is None else grad
            for one, grad in zip(aliases, found, strict=True)
        ]
    finally:
        for probe in reversed(begun):
            probe.guard.shield("backward", _end, probe, aliases, grads)
    return grads, differentiable


def _begin(probe: Probe, output: Tensor, aliases: Sequence[_Alias]) -> bool:
    if not probe.steppers.trains([one.leaf for one in aliases]):
        return False
    for one in aliases:
        if one.leaf is one.alias:
            probe.parameters.labels.stand_in(one.alias, one.given, one.key)
    probe.before_backward([output])
    return True


def _end(probe: Probe, aliases: Sequence[_Alias], grads: Sequence[Tensor]) -> None:
    detached = (grad.detach() for grad in grads)
    probe.after_backward(list(zip((one.leaf for one in aliases), detached, strict=False)))


def _is_real(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.is_floating_point()


def _is_scalar(output: Any) -> bool:
    return isinstance(output, Tensor) and output.dim() == 0


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _patches() -> tuple[Patch, ...]:
    where = functional_gradients()
    return () if where is None else (Patch(*where, _gradients),)


PATCHES: Final = _patches()
