"""Weights scaled so that each stage of the network begins at an rms of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from typing_extensions import override

from gainstage.init.layers import Weight, weights_of
from gainstage.init.metering import Meter
from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import (
    around_models,
    optimizers_made,
    own_randomness,
    trained,
    weighted_backwards,
)

UNIT_DB: Final = 0.0


@INTERVENTIONS.register("calibrate")
@contextmanager
def calibrate() -> Iterator[None]:
    """Scale each weight as the script's first forward pass reaches it, up to its first backward.

    Layer-sequential unit-variance initialisation (Mishkin & Matas 2016) by the script's own first
    batch: every product with a weight gets an rms of one, before what follows is computed.
    Directions of the weights, biases and random numbers stay. Bare tensors are weights too.
    """
    with optimizers_made() as made:
        meter = _FirstPass(made)

        def begin(root: nn.Module, inputs: tuple[Any, ...]) -> None:
            del inputs
            meter.know(root)

        def end(roots: list[Tensor]) -> float:
            del roots
            meter.over = True
            return 1.0

        with around_models(begin), weighted_backwards(end), meter:
            yield


class _FirstPass(Meter):
    """Sets the level of every product until it is over.

    Args:
        optimizers: whose parameters bare tensors must be, if there are any.

    Attributes:
        over: whether the first backward pass has begun.
    """

    def __init__(self, optimizers: Any) -> None:
        self._found: dict[int, Weight] = {}
        super().__init__(self._found, lambda _: UNIT_DB)
        self._optimizers = optimizers
        self._models: set[int] = set()
        self.over = False

    def know(self, root: nn.Module) -> None:
        """Learn what the parameters of a module are for."""
        if self.over or id(root) in self._models:
            return
        self._models.add(id(root))
        for one in weights_of(root):
            # several models have layers of the same names
            self._found.setdefault(id(one.parameter), replace(one, name=f"{id(root)}.{one.name}"))

    @override
    def weight(self, value: Any) -> Weight | None:
        """The weight that a tensor is, or is another view of (``w.T``)."""
        if not isinstance(value, Tensor):
            return None
        base = value if value._base is None else value._base  # noqa: SLF001 - there is no other way
        if base.numel() != value.numel() or not base.is_leaf or not base.requires_grad:
            return None
        if id(base) not in self._found and base.dim() > 1 and trained([base], self._optimizers):
            self._found[id(base)] = Weight(str(id(base)), base, "unknown", "", None)
        return super().weight(base)

    @override
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As a meter does; what it measures by leaves no trace in the script's graph."""
        del types
        if not self.over:
            with own_randomness(), torch.no_grad():
                self.look(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))
