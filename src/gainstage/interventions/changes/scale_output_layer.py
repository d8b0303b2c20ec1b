"""A smaller, or larger, last layer to begin with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakSet

from torch import nn

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models


@INTERVENTIONS.register("scale-output-layer")
def scale_output_layer(factor: float, layer: str = "") -> AbstractContextManager[None]:
    """Multiply the last layer's weights and biases before the first forward pass.

    Args:
        factor: what they are multiplied by.
        layer: its name in the outermost module; the last one that is declared by default, or if
            the module has none of that name with weights of its own.
    """
    seen: WeakSet[nn.Module] = WeakSet()

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        if root in seen:
            return
        seen.add(root)
        layers = {
            name: module
            for name, module in root.named_modules()
            if isinstance(getattr(module, "weight", None), nn.Parameter) and module.weight.dim() > 1
        }
        if layers:
            last = layers.get(layer, [*layers.values()][-1])
            for parameter in last.parameters(recurse=False):
                parameter.data.mul_(factor)

    return around_models(before)
