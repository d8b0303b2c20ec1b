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
from torch import Tensor, nn

from gainstage.probe.guard import Guard
from gainstage.probe.recorder import Recorder
from gainstage.probe.stages import Place, Stages
from gainstage.records import Site
from gainstage.sketch import rows
from gainstage.sketch.traceable import number, row_of, wide_dtype
from gainstage.torch_private import inside_transform, while_tracing

CALLS: Final = 8
"""Calls of one compiled stage within a step that are kept; later ones share the last place."""

NEEDS_GRAD: Final = rows.WIDTH
DTYPE: Final = rows.WIDTH + 1
SHAPE: Final = rows.WIDTH + 2
AXES: Final = 8
WIDTH: Final = SHAPE + AXES
"""Columns of an output's row after those of a reading; axes that are not there are NaN."""

_DTYPES: Final = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_DENSE: Final = (Tensor, nn.Parameter)
_PASSES_ON: Final = (nn.Identity, nn.Flatten, nn.Unflatten)
"""Modules whose output is a view of their input: no stage of their own when it was one's."""


class _Passage(torch.autograd.Function):
    """Passes a tensor on, and writes the row of the gradient that comes back.

    The copy is what lets an operation in place follow; a compiler that fuses drops it.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, place: Tensor, gradients: Tensor) -> Tensor:  # type: ignore[override]
        ctx.place = place
        ctx.gradients = gradients
        return tensor.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        _write(ctx.gradients, ctx.place, row_of(grad))
        return grad, None, None


class CompiledStage:
    """One stage, with the tensors that a graph writes to.

    Args:
        owner: what reads them.
        place: the stage.
        module: what it is in the model.

    Attributes:
        calls: int64 [1], calls since the last reading.
        outputs: [CALLS, WIDTH], a row each; COUNT is NaN where there is none.
        gradients: [CALLS, rows.WIDTH], likewise.
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
        place = self.calls.clamp(max=CALLS - 1)
        _write(self.outputs, place, _described(tensor))
        self.calls.data.add_(1)  # by way of `data`, or a checkpoint takes its input for damaged
        if not tensor.requires_grad:
            return None
        passed: Tensor = _Passage.apply(tensor, place, self.gradients)  # type: ignore[no-untyped-call]
        return passed

    def make_room(self, device: torch.device) -> None:
        """Have tensors on a device."""
        if device != self.device:
            dtype = wide_dtype(device)
            self.calls = torch.zeros(1, dtype=torch.int64, device=device)
            self.outputs = torch.full((CALLS, WIDTH), math.nan, dtype=dtype, device=device)
            shape = (CALLS, rows.WIDTH)
            self.gradients = torch.full(shape, math.nan, dtype=dtype, device=device)
            self.device = device

    def clear(self) -> None:
        """Forget what was written."""
        self.calls.data.zero_()
        self.outputs.data.fill_(math.nan)
        self.gradients.data.fill_(math.nan)

    def sites_of(self, call: int, described: Sequence[float], recorder: Recorder) -> None:
        """Make the sites of the next call that has none yet, from the row of its output."""
        shape = self.shape = tuple(int(n) for n in described[SHAPE:] if n == n)  # noqa: PLR0124
        self.axis = self.place.axis(shape, self.owner.before(self))
        name = self.place.name(call)
        details: dict[str, Any] = {
            "layer": name,
            "op": self.place.op,
            "shape": shape,
            "dtype": str(_DTYPES[int(described[DTYPE])]).removeprefix("torch."),
        }
        output = recorder.site(name, "output", unit_axis=self.axis, **details)
        self.sites.append((output, recorder.site(name, "output_grad", **details)))


def _write(into: Tensor, place: Tensor, row: Tensor) -> None:
    into.data.index_copy_(0, place, row[None])


def _described(tensor: Tensor) -> Tensor:
    """The row of an output, with its shape and kind: [WIDTH]."""
    row = row_of(tensor)
    facts = [float(tensor.requires_grad), _DTYPES.index(tensor.dtype), *tensor.shape[:AXES]]
    facts += [math.nan] * (WIDTH - rows.WIDTH - len(facts))
    return torch.cat([row, torch.stack([number(x, row.dtype, row.device) for x in facts])])


@while_tracing
def _announce(stage: CompiledStage, device: torch.device) -> bool:
    """Called as a graph is made: whether the stage can be measured in it."""
    return stage.owner.announce(stage, device)


class Compiled:
    """Reads what compiled graphs wrote of their stages, and records it like any other stage's.

    Attributes:
        on: whether graphs are to write; each value has a graph of its own.
    """

    def __init__(self, recorder: Recorder, stages: Stages, guard: Guard) -> None:
        self.on = True
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
            stage.gradients.data.fill_(math.nan)

    def flush(self) -> None:
        """After a backward: record the calls that it went through, forget the others."""
        running = self._running
        if not running:
            return
        outputs = _on_cpu([stage.outputs for stage in running])
        gradients = _on_cpu([stage.gradients for stage in running])
        self.forget()
        fresh = ~np.isnan(outputs[:, :, rows.COUNT])
        graded = fresh & ~np.isnan(gradients[:, :, rows.COUNT])
        if not graded.any():
            return
        kept = graded | (fresh & (outputs[:, :, NEEDS_GRAD] == 0.0))
        places: list[int] = []
        sites: list[int] = []
        back = fresh.size  # where gradients follow in the pool
        for i, stage in enumerate(running):
            for call, j in enumerate(np.flatnonzero(kept[i]).tolist(), start=1):
                if call > len(stage.sites):
                    stage.sites_of(call, outputs[i, j].tolist(), self._recorder)
                output, gradient = stage.sites[call - 1]
                places += (i * CALLS + j, back + i * CALLS + j)
                sites += (output.id, gradient.id)
        read = outputs[:, :, : rows.WIDTH].reshape(-1, rows.WIDTH)
        pool = np.concatenate([read, gradients.reshape(-1, rows.WIDTH)])
        self._recorder.take(pool, np.array(places), np.array(sites))

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


def _on_cpu(tensors: Sequence[Tensor]) -> rows.Rows:
    """Tensors of one shape as one float64 array, by one transfer for each device."""
    found = [torch.empty(0)] * len(tensors)
    for device in {tensor.device for tensor in tensors}:
        here = [i for i, tensor in enumerate(tensors) if tensor.device == device]
        stacked = torch.stack([tensors[i] for i in here]).to("cpu", torch.float64)
        for i, tensor in zip(here, stacked, strict=True):
            found[i] = tensor
    array: rows.Rows = torch.stack(found).numpy()
    return array
