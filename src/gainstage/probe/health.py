"""Whether the watch still has its hooks, and sees what trains."""

from __future__ import annotations

import warnings
import weakref
from contextlib import suppress
from typing import Any, Final

from torch import nn
from torch.utils.hooks import RemovableHandle

from gainstage.probe.naming import clean
from gainstage.probe.places import Place
from gainstage.probe.recorder import Recorder
from gainstage.torch_private import has_compiled, is_compiled

LOOKS: Final = 3
"""Backwards of a model's parameters after which its stages are looked for."""

_SHOWN: Final = 8
"""Names in one message."""

COMPILED: Final = (
    "a graph that was compiled before the watch began knows nothing of it",
    "Call gs.watch before the compiled model is first called, or with recompile=True.",
)
UNCALLED: Final = (
    "something uses its weights without calling the module itself",
    "Call the module, or watch with functional=True.",
)
ADDED: Final = (
    "it was put into the model after the watch began",
    "Begin the watch once the model is complete.",
)
REMOVED: Final = (
    "something has removed the watch's hook",
    "Look for code that clears _forward_hooks, and keep it from hooks that are not its own.",
)


class Health:
    """Compares what ought to be seen with what is, and says so once where it is not.

    A stage of a watched model has a hook, which must stay; and when its parameters have a
    gradient it has been run, so its output must have been seen.

    Args:
        recorder: knows what was seen, and is told.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._models: list[weakref.ref[nn.Module]] = []
        self._places: dict[int, Place] = {}  # by id of the module
        self._known: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._hooks: list[tuple[RemovableHandle, Place]] = []
        self._told: set[int] = set()  # modules
        self._looks = 0

    def expect(self, model: nn.Module, module: nn.Module, place: Place) -> None:
        """A stage of a model is about to be watched."""
        if not any(known() is model for known in self._models):
            self._models.append(weakref.ref(model))
            self._known.update(model.modules())
        self._places[id(module)] = place

    def hooked(self, handle: RemovableHandle, module: nn.Module) -> None:
        """A stage has its hook."""
        self._hooks.append((handle, self._places[id(module)]))

    def look(self) -> None:
        """After a measured backward: compare, at the first ones and then now and then."""
        early = self._looks < LOOKS
        if not (early or self._recorder.looks_closer):
            return
        self._look_at_hooks()
        trained = [m for m in self._alive() if self._trained(m)]
        if not trained:
            return
        self._looks += 1
        for model in trained:
            if early and has_compiled():
                self._look_at_compiled(model)
            if self._looks >= LOOKS:
                self._look_at_rest(model)

    def release(self) -> None:
        """Let go of hooks and modules."""
        self._models.clear()
        self._places.clear()
        self._known.clear()
        self._hooks.clear()

    def _alive(self) -> list[nn.Module]:
        models = (reference() for reference in self._models)
        return [model for model in models if model is not None]

    def _look_at_hooks(self) -> None:
        gone = [place for handle, place in self._hooks if _is_gone(handle)]
        if gone:
            self._hooks = [(handle, place) for handle, place in self._hooks if not _is_gone(handle)]
            self._tell([place.layer() for place in gone], REMOVED)

    def _look_at_compiled(self, model: nn.Module) -> None:
        for part, name in self._blind_parts(model):
            stages = [(m, place) for m, place in self._trained(part) if id(m) not in self._told]
            if not stages:
                continue
            self._told |= {id(module) for module, _ in stages}
            self._tell([name], COMPILED, stages=len(stages))

    def _look_at_rest(self, model: nn.Module) -> None:
        unseen = [(m, p) for m, p in self._trained(model) if not self._is_output(p)]
        self._tell_anew([(module, place.layer()) for module, place in unseen], UNCALLED)
        added = [
            (module, clean(path))
            for path, module in model.named_modules()
            if module not in self._known and _is_trained(module, recurse=False)
        ]
        self._tell_anew(added, ADDED)

    def _blind_parts(self, model: nn.Module) -> list[tuple[nn.Module, str]]:
        if not self._is_seen(model):
            return [(model, "")]
        return [
            (part, clean(path))
            for path, part in model.named_modules()
            if is_compiled(part) and self._trained(part) and not self._is_seen(part)
        ]

    def _trained(self, part: nn.Module) -> list[tuple[nn.Module, Place]]:
        """The stages of a part of the model that have parameters with gradients."""
        places = self._places
        return [
            (module, places[id(module)])
            for module in part.modules()
            if id(module) in places and _is_trained(module)
        ]

    def _is_seen(self, part: nn.Module) -> bool:
        return any(self._is_output(place) for _, place in self._trained(part))

    def _is_output(self, place: Place) -> bool:
        return self._recorder.has_site(place.layer(), "output")

    def _tell_anew(self, found: list[tuple[nn.Module, str]], why: tuple[str, str]) -> None:
        names = [name for module, name in found if id(module) not in self._told]
        self._told |= {id(module) for module, _ in found}
        if names:
            self._tell(names, why)

    def _tell(self, names: list[str], why: tuple[str, str], **data: Any) -> None:
        shown = [name or "the model" for name in names[:_SHOWN]]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        reason, remedy = why
        stages = data.setdefault("stages", len(names))
        count = f" ({stages} stages)" if stages > len(names) else ""
        told = f"sees nothing of {', '.join(shown)}{more}{count}: {reason}"
        site = names[0] if len(names) == 1 else ""
        self._recorder.event("blind", site, told=told, remedy=remedy, **data)
        if why is UNCALLED:
            return  # often meant so: a table of positions that is added as it is
        with suppress(RuntimeWarning):  # the user may have made warnings errors
            warnings.warn(
                f"Gainstage {told}. Parameters, gradients and updates are recorded. {remedy}",
                RuntimeWarning,
                stacklevel=2,
            )


def _is_gone(handle: RemovableHandle) -> bool:
    """Whether somebody else has removed a hook from a module that is still alive."""
    hooks = handle.hooks_dict_ref()
    return hooks is not None and handle.id not in hooks


def _is_trained(module: nn.Module, *, recurse: bool = True) -> bool:
    return any(parameter.grad is not None for parameter in module.parameters(recurse))
