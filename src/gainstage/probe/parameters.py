"""Parameters: their values, the gradients the optimiser sees, and the exact updates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from gainstage.probe.elsewhere import ParametersElsewhere
from gainstage.probe.labels import Labels
from gainstage.probe.lines import GRAD, UPDATE, WEIGHT, Entered, Routine
from gainstage.probe.ranks import is_distributed, local, merge_of
from gainstage.probe.recorder import Recorder
from gainstage.probe.spreads import unit_spread
from gainstage.probe.steptable import StepTable
from gainstage.probe.units import sample
from gainstage.records import Site
from gainstage.sketch.elsewhere import is_elsewhere
from gainstage.sketch.reader import kind_of
from gainstage.sketch.sampling import FLOAT32

_NONE: Final[Mapping[int, Tensor]] = {}
_ROUTINES: Final = 64
"""Steps that are remembered: an optimiser in backward steps each parameter by itself."""


class Parameters:
    """Measures parameters around a step.

    What is kept from one step to the next is kept by name, for a script may make new tensors of
    its parameters at every step (``w = (w - lr * g).detach().requires_grad_()``).
    """

    def __init__(self, recorder: Recorder, wanted: Callable[[str], bool] | None = None) -> None:
        self._recorder = recorder
        self._wanted = wanted
        self.labels = Labels()
        self._before: dict[str, Tensor] = {}
        self._grads: dict[str, Tensor] = {}
        self._table = StepTable(recorder)
        self._elsewhere = ParametersElsewhere(recorder)
        self._routines: dict[tuple[int, ...], Routine] = {}
        self._routine: Routine | None = None  # between before and after
        self._sites: dict[str, dict[int, Site]] = {}
        self._samples: dict[tuple[str, str], Tensor] = {}

    def release(self) -> None:
        """Let go of every tensor, kept or copied."""
        for held in (self._before, self._grads, self._samples):
            held.clear()
        self.labels.release()
        self._routines.clear()
        self._routine = None
        self._table.release()
        self._elsewhere.release()

    def before(
        self,
        parameters: Sequence[Tensor],
        returned: Mapping[int, Tensor] | None = None,
        *,
        graded: bool = True,
    ) -> None:
        """Measure weights and gradients before a step and keep what the update needs.

        Args:
            parameters: those that may be stepped.
            returned: gradients that were handed to the script rather than accumulated, by the
                ``id`` of their parameter.
            graded: the gradients are there. Otherwise the step makes them, and they are measured
                by :meth:`grade`.
        """
        parameters = self._chosen(parameters)
        kinds = (WEIGHT, GRAD) if graded else (WEIGHT,)
        if graded and returned is None and self._before_again(parameters):
            self._look_at_units(parameters, kinds)
            return
        self._routine = None
        self.labels.name_all(parameters)
        fast: list[Entered] = []
        for parameter in parameters:
            grad = (returned or {}).get(id(parameter), parameter.grad) if graded else None
            name = self.labels.of(parameter).name
            sites = self._sites_of(parameter, grad is not None)
            held, held_grad = local(parameter), None if grad is None else local(grad)
            if StepTable.takes(held, held_grad):
                fast.append(Entered(name, held, held_grad, sites))
            elif self._elsewhere.takes(held, held_grad):
                self._elsewhere.before(name, held, held_grad, sites)
            else:
                self._before_slowly(name, held, held_grad, sites)
        self._look_at_units(parameters, kinds, returned or {})
        if not fast:
            return
        group = self._table.before(fast)
        plain = not any(is_distributed(parameter) for parameter in parameters)
        if graded and returned is None and plain and len(fast) == len(parameters):
            if len(self._routines) >= _ROUTINES:
                self._routines.clear()
            self._routines[tuple(map(id, parameters))] = Routine(
                [self.labels.reference(parameter) for parameter in parameters],
                [one.grad is not None for one in fast],
                group,
            )

    def _look_at_units(
        self,
        parameters: Sequence[Tensor],
        kinds: Sequence[int],
        returned: Mapping[int, Tensor] = _NONE,
    ) -> None:
        """Now and then: do the units of a layer differ, or their gradients?"""
        if not self._recorder.looks_closer:
            return
        for parameter in parameters:
            sites = self._sites.get(self.labels.of(parameter).name, {})
            tensors = {WEIGHT: parameter, GRAD: returned.get(id(parameter), parameter.grad)}
            for what in kinds:
                tensor = tensors[what]
                if tensor is not None and _is_matrix(tensor) and what in sites:
                    self._recorder.put(sites[what], {"unit_spread": unit_spread(tensor)})

    def _before_again(self, parameters: Sequence[Tensor]) -> bool:
        """Do what was done for the same parameters at an earlier step, if all is as it was."""
        routine = self._routines.get(tuple(map(id, parameters)))
        if routine is None:
            return False
        if not routine.holds(parameters):
            return False
        gradients: list[int] = []
        for parameter, has_grad in zip(parameters, routine.has_grad, strict=True):
            grad = parameter.grad
            if (grad is not None) is not has_grad:
                return False
            if grad is None:
                gradients.append(0)
            elif kind_of(grad) == FLOAT32 and grad.numel() == parameter.numel():
                gradients.append(grad.data_ptr())
            else:
                return False
        if not self._table.before_again(routine.group, gradients):
            return False
        self._routine = routine
        return True

    def grade(self, parameters: Sequence[Tensor]) -> None:
        """Measure gradients that a step has made itself, before :meth:`after`."""
        parameters = self._chosen(parameters)
        fast: list[Entered] = []
        for parameter in parameters:
            name, grad = self.labels.of(parameter).name, parameter.grad
            if grad is None:
                continue
            held, held_grad = local(parameter), local(grad)
            sites = self._sites_of(parameter, has_grad=True)
            if self._table.holds(name) and StepTable.takes(held, held_grad):
                fast.append(Entered(name, held, held_grad, sites))
            elif self._elsewhere.holds(name):
                self._elsewhere.grade(name, held_grad, sites)
            elif name in self._before:
                self._grade_slowly(name, held_grad, sites)
        if fast:
            self._table.grade(fast)
        self._look_at_units(parameters, (GRAD,))

    def after(self, parameters: Sequence[Tensor]) -> float:
        """Measure the exact updates after a step.

        Returns:
            The first-order change of the loss by these updates: gradient times update, summed.
        """
        parameters = self._chosen(parameters)
        routine, self._routine = self._routine, None
        if routine is not None and routine.holds(parameters):
            if not routine.updates:
                routine.updates = [self._update_site(self.labels.of(p).name, p) for p in parameters]
            return self._table.after_again(routine.group, routine.updates)
        named = [(self.labels.of(parameter).name, parameter) for parameter in parameters]
        predicted = self._table.after(
            (name, local(parameter), self._update_site(name, parameter))
            for name, parameter in named
            if self._table.holds(name)
        )
        for name, parameter in named:
            if self._elsewhere.holds(name):
                self._elsewhere.after(name, local(parameter), self._update_site(name, parameter))
            elif name in self._before:
                predicted += self._after_slowly(name, parameter)
        return predicted

    def _chosen(self, parameters: Sequence[Tensor]) -> Sequence[Tensor]:
        """Those that are to be measured."""
        wanted = self._wanted
        if wanted is None:
            return parameters
        labels = [(parameter, self.labels.of(parameter)) for parameter in parameters]
        return [p for p, label in labels if wanted(label.name) or wanted(label.layer)]

    def _sites_of(self, parameter: Tensor, has_grad: bool) -> dict[int, Site]:
        name = self.labels.of(parameter).name
        sites = self._sites.setdefault(name, {})
        if WEIGHT not in sites:
            sites[WEIGHT] = self._site(parameter, "weight")
        if has_grad and GRAD not in sites:
            sites[GRAD] = self._site(parameter, "grad")
        if not has_grad and GRAD in sites:
            return {WEIGHT: sites[WEIGHT]}
        return sites

    def _update_site(self, name: str, parameter: Tensor) -> Site:
        sites = self._sites.setdefault(name, {})
        if UPDATE not in sites:
            sites[UPDATE] = self._site(parameter, "update")
        return sites[UPDATE]

    def changed(self, parameter: Tensor) -> bool:
        """Whether a parameter differs from what was kept before the step."""
        name = self.labels.of(parameter).name
        if self._table.holds(name):
            return self._table.changed(name, local(parameter))
        if self._elsewhere.holds(name):
            return self._elsewhere.changed(name, local(parameter))
        kept, held = self._before.get(name), local(parameter)
        return (
            kept is not None and kept.shape == held.shape and not torch.equal(kept, held.detach())
        )

    def _before_slowly(
        self, name: str, parameter: Tensor, grad: Tensor | None, sites: Mapping[int, Site]
    ) -> None:
        """Any dtype, layout and device."""
        self._recorder.read(parameter, sites[WEIGHT], anew=True)
        if grad is not None:
            self._grade_slowly(name, grad, sites)
        if parameter.layout == torch.strided and not parameter.is_meta:
            self._before[name] = parameter.detach().clone()

    def _grade_slowly(self, name: str, grad: Tensor, sites: Mapping[int, Site]) -> None:
        self._recorder.read(grad, sites[GRAD], anew=True)
        self._align(sites[GRAD], grad)
        self._grads[name] = grad.detach().clone()

    def _after_slowly(self, name: str, parameter: Tensor) -> float:
        change = self._before.pop(name, None)
        grad = self._grads.pop(name, None)
        held = local(parameter)
        if change is None or change.shape != held.shape:
            return 0.0
        torch.sub(held.detach(), change, out=change)
        site = self._update_site(name, parameter)
        self._recorder.read(change, site, anew=True)
        self._align(site, change)
        if grad is None or grad.layout != torch.strided or grad.is_complex():
            return 0.0
        if grad.shape != change.shape:  # cut since
            return 0.0
        return float(torch.sum(grad * change, dtype=torch.float64))

    def _align(self, site: Site, tensor: Tensor) -> None:
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            return
        now = sample(tensor)
        last = self._samples.get((site.name, site.kind))
        self._samples[site.name, site.kind] = now
        if last is None or last.shape != now.shape:
            return
        a, b = now.double(), last.double()
        # sums of products, not dot products: these stay on this thread
        norm = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
        if norm > 0:
            self._recorder.put(site, {"cosine": float((a * b).sum()) / norm})

    def _site(self, parameter: Tensor, kind: str) -> Site:
        label = self.labels.of(parameter)
        return self._recorder.site(
            label.name,
            kind,  # type: ignore[arg-type]
            layer=label.layer,
            op=label.op,
            shape=tuple(parameter.shape),
            dtype=str(parameter.dtype).removeprefix("torch."),
            aliases=label.aliases,
            merge=merge_of(parameter),
        )


def _is_matrix(tensor: Tensor) -> bool:
    """Whether a tensor has units to compare, in memory that can be read."""
    return tensor.dim() > 1 and (kind_of(tensor) > 0 or is_elsewhere(tensor))
