"""Stages inside ``torch.compile``: there a hook is traced, and becomes part of the graph.

So it may only compute with tensors. Each stage has a few of its own, to which the graph writes
one row for each output and each gradient; they are read after the backward. A flag that the
compiler guards says whether to write at all: one graph writes, another is the user's alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gainstage.probe.guard import Guard
from gainstage.probe.recorder import Recorder
from gainstage.probe.stages import Place, Stages
from gainstage.records import Site
from gainstage.sketch import rows, sampling
from gainstage.sketch.histogram import BINS
from gainstage.sketch.kernels import count_few
from gainstage.sketch.sampling import LINE
from gainstage.sketch.traceable import number, row_of, sample_of, wide_dtype
from gainstage.torch_private import inside_transform, while_tracing

CALLS: Final = 8
"""Calls of one compiled stage within a step that are kept; later ones share the last place."""

AXES: Final = 8
NEEDS_GRAD: Final = 0
DTYPE: Final = 1
SHAPE: Final = 2
FACTS: Final = SHAPE + AXES
"""Columns that follow what was read: there is something if the first is no NaN. Axes beyond those
of the tensor are NaN."""

FRESH: Final = NEEDS_GRAD - FACTS
"""The first of them, counted from the end."""

_DTYPES: Final = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_DENSE: Final = (Tensor, nn.Parameter)
_PASSES_ON: Final = (nn.Identity, nn.Flatten, nn.Unflatten)
"""Modules whose output is a view of their input: no stage of their own when it was one's."""


class _Passage(torch.autograd.Function):
    """Passes a tensor on, and writes the row of the gradient that comes back.

    The copy is what lets an operation in place follow; a compiler that fuses drops it.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, tensor: Tensor, gradients: Tensor, place: Tensor, turn: Tensor, lines: int | None
    ) -> Tensor:
        ctx.gradients = gradients
        ctx.place = place
        ctx.turn = turn
        ctx.lines = lines
        return tensor.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        _write(ctx.gradients, ctx.place, _read(grad, ctx.lines, ctx.turn))
        return grad, None, None, None, None


class CompiledStage:
    """One stage, with the tensors that a graph writes to.

    Args:
        owner: what reads them.
        place: the stage.
        module: what it is in the model.

    Attributes:
        calls: int64 [2], calls since the last reading, and calls in all.
        outputs: [CALLS, n + FACTS], of each call what was read: a sample, or a row.
        gradients: likewise.
    """

    calls: Tensor
    outputs: Tensor
    gradients: Tensor

    def __init__(self, owner: Compiled, place: Place, module: nn.Module) -> None:
        self.owner = owner
        self.place = place
        self.axis: int | None = None
        self.shape: tuple[int, ...] = ()
        self.sites: list[tuple[Site, Site]] = []
        self.device: torch.device | None = None
        self._in_place = bool(getattr(module, "inplace", False))
        self._passes_on = isinstance(module, _PASSES_ON)

    def trace(self, inputs: tuple[Any, ...], output: Any) -> Any:
        """Called by the compiler: have the output measured; what the module is to return instead.

        Args:
            inputs: the module's positional arguments.
            output: what it returned: a tensor, or a tuple that begins with one.
        """
        if not self.owner.on or not torch.is_grad_enabled():
            return None
        if type(output) is tuple and output:
            first = self._passed(inputs, output[0])
            return None if first is None else (first, *output[1:])
        return self._passed(inputs, output)

    def _passed(self, inputs: tuple[Any, ...], tensor: Any) -> Tensor | None:
        if type(tensor) not in _DENSE or tensor.dtype not in _DTYPES or self._passes_on:
            return None
        if tensor.layout is not torch.strided or tensor.dim() == 0 or tensor.numel() == 0:
            return None
        if not self._in_place and any(tensor is one for one in inputs):
            return None
        if not _announce(self, tensor.device):
            return None
        lines = self.owner.lines
        place, turn = self.calls[:1].clamp(max=CALLS - 1), self.calls[1:] + 0
        _write(self.outputs, place, _read(tensor, lines, turn))
        self.calls.data.add_(1)  # by way of `data`, or a checkpoint takes its input for damaged
        if not tensor.requires_grad:
            return None
        passed: Tensor = _Passage.apply(tensor, self.gradients, place, turn, lines)  # type: ignore[no-untyped-call]
        return passed

    def make_room(self, device: torch.device) -> None:
        """Have tensors on a device."""
        if device != self.device:
            lines = self.owner.lines
            width = rows.WIDTH if lines is None else lines * LINE
            dtype = wide_dtype(device) if lines is None else torch.float32
            none = torch.full((CALLS, width + FACTS), math.nan, dtype=dtype, device=device)
            self.outputs, self.gradients = none, none.clone()
            self.calls = torch.zeros(2, dtype=torch.int64, device=device)
            self.device = device

    def clear(self) -> None:
        """Forget what was written."""
        self.calls.data[:1].zero_()
        self.outputs.data[:, FRESH] = math.nan
        self.gradients.data[:, FRESH] = math.nan

    def add_sites(self, call: int, facts: Sequence[float], recorder: Recorder) -> None:
        """Make the sites of the next call that has none yet, from the facts of its output."""
        shape = self.shape = _shape(facts)
        self.axis = self.place.axis(shape, self.owner.before(self))
        name = self.place.name(call)
        details: dict[str, Any] = {
            "layer": name,
            "op": self.place.op,
            "shape": shape,
            "dtype": str(_DTYPES[int(facts[DTYPE])]).removeprefix("torch."),
        }
        output = recorder.site(name, "output", unit_axis=self.axis, **details)
        self.sites.append((output, recorder.site(name, "output_grad", **details)))


def _write(into: Tensor, place: Tensor, found: Tensor) -> None:
    into.data.index_copy_(0, place, found[None])


def _read(tensor: Tensor, lines: int | None, turn: Tensor) -> Tensor:
    """A tensor's sample, or its row, and its facts: [n + FACTS]."""
    found = row_of(tensor) if lines is None else sample_of(tensor, lines, turn)
    facts = [float(tensor.requires_grad), _DTYPES.index(tensor.dtype), *tensor.shape[:AXES]]
    facts += [math.nan] * (FACTS - len(facts))
    numbers = [number(x, found.dtype, found.device) for x in facts]
    return torch.cat([found, torch.stack(numbers)])


def _shape(facts: Sequence[float]) -> tuple[int, ...]:
    return tuple(int(n) for n in facts[SHAPE:] if not math.isnan(n))


@while_tracing
def _announce(stage: CompiledStage, device: torch.device) -> bool:
    """Called as a graph is made: whether the stage can be measured in it."""
    return stage.owner.announce(stage, device)


class Compiled:
    """Reads what compiled graphs wrote of their stages, and records it like any other stage's.

    Attributes:
        on: whether graphs are to write; each value has a graph of its own.
        lines: in a sample; None reads every element.
    """

    def __init__(self, recorder: Recorder, stages: Stages, guard: Guard) -> None:
        self.on = True
        self.lines = recorder.reader.lines
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

    def before(self, stage: CompiledStage) -> Any:
        """The stage that runs before this one."""
        i = self._running.index(stage)
        return self._running[i - 1] if i else None

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
        needs_grad = np.stack([found[:, FRESH] for found in outputs])
        graded = np.stack([found[:, FRESH] for found in gradients])
        graded = ~np.isnan(needs_grad) & ~np.isnan(graded)
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
        """Record the calls that a gradient came back to, and those that need none: [stages, CALLS]."""
        sites: list[int] = []
        found: list[rows.Rows] = []
        for i, stage in enumerate(self._running):
            kept = np.flatnonzero(graded[i] | (needs_grad[i] == 0.0))
            for call, j in enumerate(kept.tolist(), start=1):
                if call > len(stage.sites):
                    stage.add_sites(call, outputs[i][j, -FACTS:].tolist(), self._recorder)
                sites.append(stage.sites[call - 1][0].id)
                found.append(outputs[i][j])
                if graded[i, j]:
                    sites.append(stage.sites[call - 1][1].id)
                    found.append(gradients[i][j])
        self._record(np.stack(found), sites)

    def _record(self, found: rows.Rows, sites: list[int]) -> None:
        """Record what was read: [n, what was read and FACTS], one line for each site."""
        read = np.ascontiguousarray(found[:, :-FACTS])
        if self.lines is not None:
            samples, read = read, rows.new(len(read))
            sizes = np.array([math.prod(_shape(facts)) for facts in found[:, -FACTS:].tolist()])
            taken = np.stack([np.minimum(sizes, samples.shape[1]), sizes], axis=1)
            sampling.settle(samples, taken, len(taken), read)
            if self._recorder.bins:
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
        self.on = False

    def release(self) -> None:
        """Let go of every tensor."""
        self.stop()
        self._running.clear()


def _on_cpu(tensors: Sequence[Tensor]) -> list[rows.Rows]:
    """Tensors of one shape and kind as arrays, by one transfer for each device."""
    found = list(tensors)
    for device in {tensor.device for tensor in tensors if not tensor.is_cpu}:
        here = [i for i, tensor in enumerate(tensors) if tensor.device == device]
        for i, tensor in zip(here, torch.stack([tensors[i] for i in here]).cpu(), strict=True):
            found[i] = tensor
    return [tensor.numpy() for tensor in found]
