"""Each feature of the input with mean zero and standard deviation one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models
from gainstage.interventions.standardising import Scale


@INTERVENTIONS.register("standardise-input")
def standardise_input() -> AbstractContextManager[None]:
    """Standardise the first floating input of each outermost module, by its first batches."""
    scales: WeakKeyDictionary[nn.Module, Scale] = WeakKeyDictionary()

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        for i, value in enumerate(inputs):
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1:
                if value.requires_grad:  # made by another part of the network: no data
                    return None
                scale = scales.setdefault(module, Scale())
                scaled = scale(value, channels=_begins_with_convolution(module))
                return (*inputs[:i], scaled, *inputs[i + 1 :])
        return None

    return around_models(before)


def _begins_with_convolution(module: nn.Module) -> bool:
    layers = (m for m in module.modules() if next(m.parameters(recurse=False), None) is not None)
    return isinstance(next(layers, None), nn.Conv1d)
