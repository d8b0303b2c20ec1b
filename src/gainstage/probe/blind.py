"""Says so where nothing is seen: stages of a graph that was compiled before the watch began."""

from __future__ import annotations

import warnings
import weakref
from contextlib import suppress
from typing import Final

from torch import nn

from gainstage.probe.naming import clean
from gainstage.probe.places import Place
from gainstage.probe.recorder import Recorder
from gainstage.torch_private import has_compiled, is_compiled

LOOKS: Final = 3
"""Backwards of a model's parameters after which its stages are looked for."""

REMEDY: Final = "Call gs.watch before the compiled model is first called, or with recompile=True."


class BlindSpots:
    """Finds stages whose parameters have a gradient though their output was never seen.

    Args:
        recorder: knows what was seen, and is told.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._models: list[weakref.ref[nn.Module]] = []
        self._places: dict[int, Place] = {}  # by id of the module
        self._looks = 0

    def expect(self, model: nn.Module, module: nn.Module, place: Place) -> None:
        """A stage of a model is watched."""
        if not any(known() is model for known in self._models):
            self._models.append(weakref.ref(model))
        self._places[id(module)] = place

    def look(self) -> None:
        """After a measured backward: tell of the compiled parts of which nothing was seen."""
        if self._looks >= LOOKS or not has_compiled():
            return
        found = False
        for reference in self._models:
            model = reference()
            if model is not None and self._trained(model):
                found = True
                for part, name in self._blind_parts(model):
                    self._tell(name, len(self._trained(part)))
                    self._looks = LOOKS
        self._looks += found

    def _blind_parts(self, model: nn.Module) -> list[tuple[nn.Module, str]]:
        if not self._is_seen(model):
            return [(model, "")]
        return [
            (part, clean(path))
            for path, part in model.named_modules()
            if is_compiled(part) and self._trained(part) and not self._is_seen(part)
        ]

    def _trained(self, part: nn.Module) -> list[Place]:
        """The stages of a part of the model that have parameters with gradients."""
        found = ((self._places.get(id(module)), module) for module in part.modules())
        return [
            place
            for place, module in found
            if place is not None and any(p.grad is not None for p in module.parameters())
        ]

    def _is_seen(self, part: nn.Module) -> bool:
        places = self._trained(part)
        return any(self._recorder.has_site(place.layer(), "output") for place in places)

    def _tell(self, name: str, stages: int) -> None:
        self._recorder.event("blind", name, stages=stages, remedy=REMEDY)
        with suppress(RuntimeWarning):  # the user may have made warnings errors
            warnings.warn(
                f"Gainstage sees nothing inside {name or 'the model'}, {stages} stages: a graph "
                "that was compiled before the watch began knows nothing of it. Parameters, "
                f"gradients and updates are recorded. {REMEDY}",
                RuntimeWarning,
                stacklevel=2,
            )
