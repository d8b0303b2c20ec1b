"""Stages that ran inside ``torch.compile``: what their graphs wrote becomes records.

A graph that was made under the watch copies samples (or, of an exact watch, computes rows), and
one that was made without it, or for a step that is not measured, is the user's alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gainstage.probe.guard import Guard
from gainstage.probe.places import Place
from gainstage.probe.recorder import Recorder
from gainstage.probe.stages import Stages
from gainstage.probe.traced import FACTS, FRESH, CompiledStage, Switch, shape_of
from gainstage.sketch import rows, sampling
from gainstage.sketch.histogram import BINS
from gainstage.sketch.kernels import count_few
from gainstage.torch_private import inside_transform


class Compiled:
    """Reads what compiled graphs wrote of their stages, and records it like any other stage's."""

    def __init__(self, recorder: Recorder, stages: Stages, guard: Guard) -> None:
        self._lines = recorder.reader.lines
        self._switch = Switch(self._lines, self.announce)
        self._recorder = recorder
        self._stages = stages
        self._guard = guard
        self._running: list[CompiledStage] = []

    def announce(self, stage: CompiledStage, device: torch.device) -> bool:
        """A graph is being made in which this stage runs: whether it may write."""
        if inside_transform() or self._guard.is_off("compiled"):
            return False
        self._guard.call("compiled", self._add, stage, device)
        return not self._guard.is_off("compiled")

    def _add(self, stage: CompiledStage, device: torch.device) -> None:
        stage.make_room(device)
        if stage not in self._running:
            for layer in self._stages.layers():  # these came before it
                self._recorder.order(layer)
            self._recorder.order(stage.place.layer())
            self._running.append(stage)

    def stage(self, place: Place, module: nn.Module) -> CompiledStage:
        """What measures a stage where it runs inside a graph."""
        return CompiledStage(self._switch, place, module)

    def measure(self, *, on: bool) -> None:
        """Have graphs write from now on, or not: each has a graph of its own."""
        self._switch.on = on

    def begin(self) -> None:
        """A backward for a step begins: gradients that were written before are of another."""
        for stage in self._running:
            stage.gradients.data[:, FRESH] = math.nan

    def flush(self) -> None:
        """After a backward: record the calls that it went through, forget the others."""
        running = self._running
        if not running:
            return
        outputs = _on_cpu([stage.outputs for stage in running])
        gradients = _on_cpu([stage.gradients for stage in running])
        _realign(outputs, gradients)
        needs_grad = np.stack([found[:, FRESH] for found in outputs])
        came_back = np.stack([found[:, FRESH] for found in gradients])
        graded = ~(np.isnan(needs_grad) | np.isnan(came_back))
        if graded.any():
            self._keep(outputs, gradients, needs_grad, graded)
        self.forget()

    def _keep(
        self,
        outputs: Sequence[rows.Rows],
        gradients: Sequence[rows.Rows],
        needs_grad: NDArray[Any],
        graded: NDArray[np.bool_],
    ) -> None:
        """Record the calls that a gradient came back to, and those that need none.

        Args:
            outputs: what was read of each stage's calls: [CALLS, n + FACTS] each.
            gradients: likewise.
            needs_grad: whether a call needs a gradient, NaN if there was none: [stages, CALLS].
            graded: whether it got one, likewise.
        """
        sites: list[int] = []
        found: list[rows.Rows] = []
        for i, stage in enumerate(self._running):
            before = self._running[i - 1] if i else None
            kept = np.flatnonzero(graded[i] | (needs_grad[i] == 0.0))
            for call, j in enumerate(kept.tolist(), start=1):
                if call > len(stage.sites):
                    stage.add_sites(call, outputs[i][j, -FACTS:].tolist(), before, self._recorder)
                sites.append(stage.sites[call - 1][0].id)
                found.append(outputs[i][j])
                if graded[i, j]:
                    sites.append(stage.sites[call - 1][1].id)
                    found.append(gradients[i][j])
        self._record(np.stack(found), sites)

    def _record(self, found: rows.Rows, sites: list[int]) -> None:
        """Record what was read: [n, what was read and FACTS], one line for each site."""
        read = np.ascontiguousarray(found[:, :-FACTS])
        if self._lines is not None:
            samples, read = read.astype(np.float32), rows.new(len(read))
            sizes = np.array([math.prod(shape_of(facts)) for facts in found[:, -FACTS:].tolist()])
            taken = np.stack([np.minimum(sizes, samples.shape[1]), sizes], axis=1)
            sampling.settle(samples, taken, len(taken), read)
            if self._recorder.reader.bins:
                for sample, m, site in zip(samples, taken[:, 0], sites, strict=True):
                    counts = np.zeros(BINS, dtype=np.int64)
                    count_few(sample[:m].view(np.uint32), counts)
                    self._recorder.count(site, counts)
        self._recorder.take(read, np.arange(len(read)), np.array(sites))

    def forget(self) -> None:
        """Drop what was written."""
        for stage in self._running:
            stage.clear()

    def stop(self) -> None:
        """Have graphs write no more."""
        self._switch.on = False

    def release(self) -> None:
        """Let go of every tensor."""
        self.stop()
        self._running.clear()


def _realign(outputs: Sequence[rows.Rows], gradients: list[rows.Rows]) -> None:
    """Bring gradients to the places of their outputs.

    A checkpoint that a graph computes again counts on from its first pass, so the gradients of
    `n` calls are `n` places further.
    """
    for i, (ours, theirs) in enumerate(zip(outputs, gradients, strict=True)):
        fresh, back = ~np.isnan(ours[:, FRESH]), ~np.isnan(theirs[:, FRESH])
        if fresh.any() and back.any() and not (fresh & back).any():
            gradients[i] = np.roll(theirs, -int(fresh.sum()), axis=0)


def _on_cpu(tensors: Sequence[Tensor]) -> list[rows.Rows]:
    """Tensors of one shape and kind as arrays, by one transfer for each device."""
    found = list(tensors)
    for device in {tensor.device for tensor in tensors if not tensor.is_cpu}:
        here = [i for i, tensor in enumerate(tensors) if tensor.device == device]
        for i, tensor in zip(here, torch.stack([tensors[i] for i in here]).cpu(), strict=True):
            found[i] = tensor
    return [tensor.numpy() for tensor in found]
