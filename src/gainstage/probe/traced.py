"""Stages inside ``torch.compile``: there a hook is traced, and becomes part of the graph.

So it may only compute with tensors. Each stage has a few of its own, to which the graph writes
one row for each output and each gradient; they are read after the backward. A flag that the
compiler guards says whether to write at all: one graph writes, another is the user's alone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from gainstage.probe.places import Place
from gainstage.probe.recorder import Recorder
from gainstage.records import Site
from gainstage.sketch import rows
from gainstage.sketch.sampling import LINE
from gainstage.sketch.traceable import number, row_of, sample_of, wide_dtype
from gainstage.torch_private import while_tracing

CALLS: Final = 8
"""Calls of one compiled stage within a step that are kept; later ones share the last place."""

AXES: Final = 8
NEEDS_GRAD: Final = 0
DTYPE: Final = 1
SHAPE: Final = 2
FACTS: Final = SHAPE + AXES
"""Columns that follow what was read: there is something if the first is no NaN. Axes beyond those
of the tensor are NaN."""

_TORCHS_OWN: Final = "<class 'torch.autograd.function.Function'> should not be instantiated"

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
    def forward(
        ctx: Any, tensor: Tensor, gradients: Tensor, place: Tensor, turn: Tensor, lines: int | None
    ) -> Tensor:
        ctx.gradients = gradients
        ctx.place = place
        ctx.turn = turn
        ctx.lines = lines
        return tensor.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _write(ctx.gradients, ctx.place, _read(grad, ctx.lines, ctx.turn))
        return grad, None, None, None, None


class Switch:
    """What a graph asks of the watch; the compiler guards it.

    Attributes:
        on: whether to write; each answer has a graph of its own.
        lines: in a sample; None reads every element.
        announce: told of each stage and its device as a graph is made; whether it may write.
    """

    def __init__(
        self, lines: int | None, announce: Callable[[CompiledStage, torch.device], bool]
    ) -> None:
        self.on = True
        self.lines = lines
        self.announce = announce


class CompiledStage:
    """One stage, with the tensors that a graph writes to.

    Args:
        switch: whether to write, and how much.
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

    def __init__(self, switch: Switch, place: Place, module: nn.Module) -> None:
        self.switch = switch
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
        if not self.switch.on or not torch.is_grad_enabled():
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
        lines = self.switch.lines
        place, turn = self.calls[:1].clamp(max=CALLS - 1), self.calls[1:] + 0
        _write(self.outputs, place, _read(tensor, lines, turn))
        self.calls.data.add_(1)  # by way of `data`, or a checkpoint takes its input for damaged
        if not tensor.requires_grad:
            return None
        _hush(on=True)
        passed: Tensor = _Passage.apply(tensor, self.gradients, place, turn, lines)  # type: ignore[no-untyped-call]
        _hush(on=False)
        return passed

    def make_room(self, device: torch.device) -> None:
        """Have tensors on a device."""
        if device != self.device:
            lines = self.switch.lines
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

    def add_sites(self, call: int, facts: Sequence[float], before: Any, recorder: Recorder) -> None:
        """Make the sites of the next call that has none yet.

        Args:
            call: its number, from 1.
            facts: of its output.
            before: the stage that runs before this one, if one does.
            recorder: makes the sites.
        """
        shape = self.shape = shape_of(facts)
        self.axis = self.place.axis(shape, before)
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


def shape_of(facts: Sequence[float]) -> tuple[int, ...]:
    """The shape of a tensor, from its facts."""
    return tuple(int(n) for n in facts[SHAPE:] if not math.isnan(n))


@while_tracing
def _hush(*, on: bool) -> bool:
    """Called as a graph is made: torch deprecates what it does itself with a function like ours.

    Where the user has made warnings errors, that would end the training.
    """
    if on:
        warnings.filterwarnings("ignore", _TORCHS_OWN, DeprecationWarning)
    else:
        kept = [f for f in warnings.filters if getattr(f[1], "pattern", "") != _TORCHS_OWN]
        warnings.filters[:] = kept  # type: ignore[index]
    return on


@while_tracing
def _announce(stage: CompiledStage, device: torch.device) -> bool:
    """Called as a graph is made: whether the stage can be measured in it."""
    return stage.switch.announce(stage, device)
