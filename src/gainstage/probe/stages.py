"""The signal chain: what each stage puts out, and the gradient that comes back to it."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gainstage.probe.guard import Guard
from gainstage.probe.recorder import Recorder
from gainstage.probe.units import (
    UnitWatch,
    by_unit,
    feature_numbers,
    has_channels_first,
    unit_axis,
    unit_shape,
)
from gainstage.records import Site
from gainstage.sketch import rows
from gainstage.sketch.reader import Counts, kind_of
from gainstage.sketch.rows import Row
from gainstage.sketch.sampling import FLOAT32

MAX_CALLS: Final = 64
"""Calls of one stage within a step that get a site of their own; later ones share the last."""

MAX_HELD: Final = 2048
"""Forward measurements held for a backward that may never come (an evaluation with gradients)."""

_POOL: Final = 64
"""Calls within a step for which there is room at first."""

ALWAYS: Final = 32
EVERY: Final = 16
"""An input's features are looked at in the first steps, then at every sixteenth."""


class Place:
    """A stage, with what stays the same from one call of it to the next.

    Args:
        layer: gives the stage's name, asked once the names are known.
        op: the operation.
        module: the module that makes its outputs, if one does.
    """

    def __init__(self, layer: Callable[[], str], op: str, module: nn.Module | None = None) -> None:
        self.layer = layer
        self.op = op
        self.takes_data = False
        """Whether data may enter the network here."""
        self.calls = 0
        """Calls since the last backward."""
        self.units: list[UnitWatch | None] = []
        """One for each call within a step."""
        self._channels_first = has_channels_first(module)
        self._shape: tuple[int, ...] = ()
        self._axis: int | None = None
        self._outputs: dict[int, Site] = {}
        self._gradients: dict[int, Site] = {}

    def axis(self, shape: tuple[int, ...], before: Entry | None) -> int | None:
        """The axis of an output that numbers the units.

        Args:
            shape: of the output.
            before: the call before: an activation's channels are those of what it is applied to.
        """
        if shape != self._shape:
            self._shape = shape
            self._axis = unit_axis(shape, channels_first=self._channels_first)
            if before is not None and len(shape) == 3 and before.shape == shape:
                self._axis = before.axis
        return self._axis

    def name(self, call: int) -> str:
        """What the stage is called at the n-th call of a step."""
        layer = self.layer()
        return layer if call == 1 else f"{layer}#{call}"

    def output_site(self, recorder: Recorder, entry: Entry, call: int) -> Site:
        """Where the output of the n-th call of a step belongs."""
        found = self._outputs.get(call)
        if found is None:
            details = entry.details(self.name(call))
            found = recorder.site(self.name(call), "output", unit_axis=entry.axis, **details)
            self._outputs[call] = found
        return found

    def gradient_site(self, recorder: Recorder, entry: Entry, call: int) -> Site:
        """Where its gradient belongs."""
        found = self._gradients.get(call)
        if found is None:
            details = entry.details(self.name(call))
            found = self._gradients[call] = recorder.site(self.name(call), "output_grad", **details)
        return found


class Entry:
    """One call of one stage, measured, waiting for its gradient to say that it is training."""

    __slots__ = (
        "axis",
        "counts",
        "dtype",
        "feed",
        "grad_counts",
        "graded",
        "needs_grad",
        "numbers",
        "place",
        "root",
        "row",
        "shape",
    )

    def __init__(self, place: Place, row: int, root: int, tensor: Tensor) -> None:
        self.place = place
        self.row = row  # in the pool: its output; the next one is its gradient
        self.root = root
        self.shape = tuple(tensor.shape)
        self.dtype = tensor.dtype
        self.needs_grad = tensor.requires_grad
        self.axis: int | None = None
        self.numbers: dict[str, float] = {}
        self.counts: Counts | None = None
        self.graded = False
        self.grad_counts: Counts | None = None
        self.feed: Feed | None = None

    def details(self, name: str) -> dict[str, Any]:
        """What a site says of this stage."""
        dtype = str(self.dtype).removeprefix("torch.")
        return {"layer": name, "op": self.place.op, "shape": self.shape, "dtype": dtype}


@dataclass(frozen=True, slots=True)
class Feed:
    """Data that enter the network at a stage."""

    row: Row
    counts: Counts | None
    shape: tuple[int, ...]
    numbers: dict[str, float]


class Stages:
    """Measures outputs at once and records them when a gradient has come back through them.

    A forward pass that nobody differentiates (validation) leaves no trace. Calls of one stage
    within a step are told apart as ``name``, ``name#2``, ...; micro-batches merge.
    """

    def __init__(self, recorder: Recorder, guard: Guard) -> None:
        self.in_backward = False
        """Whether a backward runs for a step; gradients of a penalty pass unmeasured."""
        self._recorder = recorder
        self._reader = recorder.reader
        self._guard = guard
        self._pool = rows.new(2 * _POOL)
        self._free = 0  # rows of it from here on were never used in this step
        self._spare: list[int] = []  # rows that were given back
        self._held: list[Entry] = []
        self._hooks: list[RemovableHandle] = []
        self._outputs: dict[int, Callable[[], Tensor | None]] = {}
        self._last: Callable[[], Tensor | None] = lambda: None
        self._last_version = 0

    def output(self, place: Place, tensor: Tensor, *, root: int = 0) -> Entry | None:
        """Measure what a stage returned and listen for its gradient.

        Args:
            place: the stage.
            tensor: its output.
            root: number of the outermost module call that this one is part of.

        Returns:
            The entry; None if the tensor is a view of the previous one, or a scalar.
        """
        if tensor.dim() == 0 or not tensor.is_floating_point() or self._is_last(tensor):
            return None
        if len(self._held) >= MAX_HELD:
            self._spare += [entry.row for entry in self._held[: MAX_HELD // 2]]
            del self._held[: MAX_HELD // 2]
        entry = Entry(place, self._next_row(), root, tensor)
        entry.axis = place.axis(entry.shape, self._held[-1] if self._held else None)
        row = self._pool[entry.row]
        entry.counts = self._reader.read(tensor, row)
        if entry.axis is not None and row[rows.COUNT] > 0:
            self._look_at_units(entry, tensor)
        place.calls += 1
        self._held.append(entry)
        self.listen(entry, tensor)
        self._last = self._outputs[id(tensor)] = weakref.ref(tensor)
        self._last_version = _version(tensor)
        return entry

    def listen(self, entry: Entry, tensor: Tensor) -> None:
        """Record the gradient that reaches `tensor` as the entry's."""
        if tensor.requires_grad:
            hook = _GradientHook(self, self._guard, entry, tensor.output_nr)
            node = tensor.grad_fn
            if node is None:  # a leaf
                self._hooks.append(tensor.register_hook(hook.of_tensor))  # type: ignore[no-untyped-call]
            else:  # half the price, and the gradient that flows on after a user's own hook
                self._hooks.append(node.register_prehook(hook))

    def feed(self, entry: Entry, tensor: Any) -> None:
        """Measure the data that enters the network at this stage, if that is what `tensor` is."""
        step = self._recorder.step
        if step >= ALWAYS and step % EVERY:
            return
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.requires_grad:
            return
        if self._is_output(tensor) or tensor.dim() < 2:
            return
        row = rows.new(1)[0]
        counts = self._reader.read(tensor, row, fresh=False)
        axis = 1 if entry.axis == 1 and tensor.dim() >= 3 else tensor.dim() - 1
        numbers: dict[str, float] = {}
        if row[rows.COUNT] > 0 and tensor.layout == torch.strided:
            numbers = feature_numbers(by_unit(tensor, axis))
        entry.feed = Feed(row, counts, tuple(tensor.shape), numbers)

    def again(self, place: Place, tensor: Tensor) -> bool:
        """A checkpoint recomputed a stage: listen for its gradient here as well.

        Returns:
            Whether the first pass was measured; a reentrant checkpoint's runs without autograd.
        """
        entries = [entry for entry in self._held if entry.place is place]
        waiting = next((entry for entry in entries if not entry.graded), None)
        if waiting is not None:
            self.listen(waiting, tensor)
        return bool(entries)

    def flush(self) -> None:
        """After a backward: record the calls that it went through, forget the others."""
        roots = {entry.root for entry in self._held if entry.graded and entry.root}
        calls: dict[str, int] = defaultdict(int)
        places: list[tuple[int, int]] = []
        for entry in self._held:
            if entry.graded or (entry.root in roots and not entry.needs_grad):
                layer = entry.place.layer()
                calls[layer] += 1
                self._record(entry, min(calls[layer], MAX_CALLS), places)
        if places:
            self._recorder.take(self._pool, places)
        self.forget()

    def flush_all(self) -> None:
        """Record everything held, as when a script ends between forward and backward."""
        places: list[tuple[int, int]] = []
        for entry in self._held:
            self._record(entry, 1, places)
        if places:
            self._recorder.take(self._pool, places)
        self.forget()

    def forget(self) -> None:
        """Drop what is held."""
        for hook in self._hooks:
            hook.remove()  # an output may outlive its step; a parameter that is one surely does
        for entry in self._held:
            entry.place.calls = 0
        self._hooks.clear()
        self._held.clear()
        self._outputs.clear()
        self._free = 0
        self._spare.clear()
        self._last = lambda: None

    def measure_gradient(self, entry: Entry, grad: Tensor) -> None:
        """A gradient came back to an entry's output; a second one adds to the first."""
        row = self._pool[entry.row + 1]
        if not entry.graded:
            entry.grad_counts = self._reader.read(grad, row)
            entry.graded = True
            return
        more = rows.new(1)[0]
        counts = self._reader.read(grad, more)
        rows.add(row, more)
        if counts is not None and entry.grad_counts is not None:
            entry.grad_counts = entry.grad_counts + counts

    def _next_row(self) -> int:
        if self._spare:
            return self._spare.pop()
        row, self._free = self._free, self._free + 2
        if self._free > len(self._pool):
            self._pool = np.pad(self._pool, ((0, len(self._pool)), (0, 0)))
        return row

    def _look_at_units(self, entry: Entry, tensor: Tensor) -> None:
        axis = entry.axis
        if axis is None or tensor.layout is not torch.strided:
            return
        place = entry.place
        while len(place.units) <= place.calls:
            place.units.append(None)
        units = place.units[place.calls]
        shape = unit_shape(entry.shape, axis)
        exact = self._reader.lines is None
        if units is None or units.units != shape[1]:
            units = place.units[place.calls] = UnitWatch(shape[1], place.op, exact=exact)
        if kind_of(tensor) == FLOAT32:
            entry.numbers = units.see(tensor.data_ptr(), shape, self._reader.turn)
        else:
            entry.numbers = units.see(by_unit(tensor, axis), shape, self._reader.turn)

    def _record(self, entry: Entry, call: int, places: list[tuple[int, int]]) -> None:
        recorder = self._recorder
        if entry.feed is not None:
            self._record_feed(entry, entry.feed, entry.place.name(call))
        output = entry.place.output_site(recorder, entry, call)
        places.append((entry.row, output.id))
        if entry.numbers:
            recorder.put(output, entry.numbers)
        if entry.counts is not None:
            recorder.count(output.id, entry.counts)
        if entry.graded:
            gradient = entry.place.gradient_site(recorder, entry, call)
            places.append((entry.row + 1, gradient.id))
            if entry.grad_counts is not None:
                recorder.count(gradient.id, entry.grad_counts)

    def _record_feed(self, entry: Entry, feed: Feed, name: str) -> None:
        details = {**entry.details(name), "shape": feed.shape}
        site = self._recorder.site(name, "input", **details)
        self._recorder.take(feed.row[None], [(0, site.id)])
        self._recorder.put(site, feed.numbers)
        if feed.counts is not None:
            self._recorder.count(site.id, feed.counts)

    def _is_last(self, tensor: Tensor) -> bool:
        last = self._last()
        if last is None or _version(last) != self._last_version:
            return False
        if last is tensor:
            return True
        base = tensor._base  # noqa: SLF001 - how torch names a view's origin
        origin = last if last._base is None else last._base  # noqa: SLF001
        return base is not None and base is origin and tensor.numel() == last.numel()

    def _is_output(self, tensor: Tensor) -> bool:
        found = self._outputs.get(id(tensor))
        return found is not None and found() is tensor


def _version(tensor: Tensor) -> int:
    """How often a tensor was changed in place; 0 where torch does not count."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 - torch's own counter


class _GradientHook:
    """Measures the gradient of an output; holds no tensor, survives copying as nothing."""

    __slots__ = ("_entry", "_guard", "_number", "_stages")

    def __init__(self, stages: Stages, guard: Guard, entry: Entry, number: int) -> None:
        self._stages = stages
        self._guard = guard
        self._entry = entry
        self._number = number  # of the output among those of its node

    def __call__(self, grads: Sequence[Tensor | None]) -> None:
        grad = grads[self._number]
        if grad is not None:
            self.of_tensor(grad)

    def of_tensor(self, grad: Tensor) -> None:
        if self._stages.in_backward:
            self._guard.call("gradient", self._stages.measure_gradient, self._entry, grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Silent:
        return _Silent()

    def __reduce__(self) -> tuple[type[_Silent], tuple[()]]:
        return (_Silent, ())


class _Silent:
    """What a hook becomes in a copied or unpickled tensor."""

    def __call__(self, *_: Any) -> None:
        return None
