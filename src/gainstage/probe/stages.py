"""The signal chain: what each stage puts out, and the gradient that comes back to it."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
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
from gainstage.sketch.pool import Pool
from gainstage.sketch.reader import Counts, kind_of
from gainstage.sketch.rows import Row
from gainstage.sketch.sampling import FLOAT32
from gainstage.sketch.tensors import unreadable

MAX_CALLS: Final = 64
"""Calls of one stage within a step that get a site of their own; later ones share the last."""

MAX_HELD: Final = 2048
"""Forward measurements held for a backward that may never come (an evaluation with gradients)."""

_CHARTS: Final = 16
"""Courses of a backward pass that are remembered."""

UNIT_QUANTITIES: Final = ("dead_units", "saturated", "saturated_units")

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
        self.entries: list[Entry] = []
        """One for each call within a step, used again in the next."""
        self._channels_first = has_channels_first(module)

    def axis(self, shape: tuple[int, ...], before: Entry | None) -> int | None:
        """The axis of an output that numbers the units.

        Args:
            shape: of the output.
            before: the call before: an activation's channels are those of what it is applied to.
        """
        if before is not None and len(shape) == 3 and before.shape == shape:
            return before.axis
        return unit_axis(shape, channels_first=self._channels_first)

    def name(self, call: int) -> str:
        """What the stage is called at the n-th call of a step."""
        layer = self.layer()
        return layer if call == 1 else f"{layer}#{call}"


class Entry:
    """One call of one stage, read, waiting for its gradient to say that it is training.

    It is itself the hook that the gradient meets: it holds no tensor, and a copy is a silent one.
    """

    __slots__ = (
        "axis",
        "dtype",
        "feed",
        "graded",
        "needs_grad",
        "output_number",
        "place",
        "reading",
        "root",
        "shape",
        "stages",
        "units",
    )

    def __init__(self, stages: Stages, place: Place) -> None:
        self.stages = stages
        self.place = place
        self.reading = 0  # of the output, in the pool
        self.root = 0
        self.shape: tuple[int, ...] = ()
        self.dtype = torch.float32
        self.needs_grad = False
        self.output_number = 0  # among the outputs of its node
        self.axis: int | None = None
        self.units: UnitWatch | None = None
        self.graded = False
        self.feed: Feed | None = None

    def __call__(self, grads: Sequence[Tensor | None]) -> None:
        """The gradients of a node's outputs are known."""
        self.of_tensor(grads[self.output_number])

    def of_tensor(self, grad: Tensor | None) -> None:
        """The gradient of the output is known; torch may pass an undefined one."""
        stages = self.stages
        if grad is not None and stages.in_backward:
            stages.guard.call("gradient", stages.measure_gradient, self, grad)

    def details(self, name: str) -> dict[str, Any]:
        """What a site says of this stage."""
        dtype = str(self.dtype).removeprefix("torch.")
        return {"layer": name, "op": self.place.op, "shape": tuple(self.shape), "dtype": dtype}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Silent:
        return _Silent()

    def __reduce__(self) -> tuple[type[_Silent], tuple[()]]:
        return (_Silent, ())


class _Silent:
    """What an entry becomes in a copied or unpickled tensor."""

    def __call__(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Feed:
    """Data that enter the network at a stage."""

    row: Row
    counts: Counts | None
    shape: tuple[int, ...]
    numbers: dict[str, float]


@dataclass(frozen=True, slots=True)
class Chart:
    """Where the readings of a backward pass belong; the same ones as long as it is the same.

    Attributes:
        entries: those recorded, which keeps their identities valid.
        calls: the how-maniest call of its stage each one is, from 1.
        ids: int64, of the sites of the outputs, then of the gradients.
        columns: for each entry, where in a frame its units' shares go, by quantity.
    """

    entries: list[Entry]
    calls: list[int]
    ids: NDArray[np.int64]
    columns: list[dict[str, int]]

    @classmethod
    def of(cls, entries: list[Entry], graded: list[Entry], recorder: Recorder) -> Chart:
        """Find or make the sites, in the order of the calls."""
        count: dict[str, int] = defaultdict(int)
        calls: dict[int, int] = {}
        sites: list[Site] = []
        for entry in entries:
            layer = entry.place.layer()
            count[layer] += 1
            call = calls[id(entry)] = min(count[layer], MAX_CALLS)
            details = entry.details(entry.place.name(call))
            name = details["layer"]
            sites.append(recorder.site(name, "output", unit_axis=entry.axis, **details))
        gradients = [
            recorder.site(details["layer"], "output_grad", **details)
            for details in (e.details(e.place.name(calls.get(id(e), 1))) for e in graded)
        ]
        return cls(
            entries,
            list(calls.values()),
            np.array([site.id for site in (*sites, *gradients)], dtype=np.int64),
            [{key: recorder.column(site, key) for key in UNIT_QUANTITIES} for site in sites],
        )


class Stages:
    """Measures outputs at once and records them when a gradient has come back through them.

    A forward pass that nobody differentiates (validation) leaves no trace. Calls of one stage
    within a step are told apart as ``name``, ``name#2``, ...; micro-batches merge.
    """

    def __init__(self, recorder: Recorder, guard: Guard) -> None:
        self.in_backward = False
        """Whether a backward runs for a step; gradients of a penalty pass unmeasured."""
        self.guard = guard
        self._recorder = recorder
        self._reader = recorder.reader
        self._pool = Pool(recorder.reader)
        self._held: list[Entry] = []
        self._graded: list[tuple[Entry, int]] = []
        self._charts: dict[tuple[tuple[int, ...], tuple[int, ...]], Chart] = {}
        self._hooks: list[RemovableHandle] = []
        self._outputs: dict[int, Callable[[], Tensor | None]] = {}
        self._last: Callable[[], Tensor | None] = lambda: None
        self._last_version = 0

    def output(self, place: Place, tensor: Tensor, *, root: int = 0) -> Entry | None:
        """Read what a stage returned and listen for its gradient.

        Args:
            place: the stage.
            tensor: its output, floating-point.
            root: number of the outermost module call that this one is part of.

        Returns:
            The entry; None if the tensor is a view of the previous one, or a scalar.
        """
        if tensor.dim() == 0 or self._is_last(tensor):
            return None
        held = self._held
        if len(held) >= MAX_HELD:
            for old in held[: MAX_HELD // 2]:
                self._pool.give_back(old.reading)
            del held[: MAX_HELD // 2]
        if place.calls == len(place.entries):
            place.entries.append(Entry(self, place))
        entry = place.entries[place.calls]
        entry.reading = self._pool.take(tensor)
        entry.root = root
        entry.graded = False
        entry.feed = None
        entry.needs_grad = tensor.requires_grad
        if tensor.shape != entry.shape:
            entry.shape = tensor.shape
            entry.dtype = tensor.dtype
            entry.axis = place.axis(entry.shape, held[-1] if held else None)
            entry.units = None
        if entry.axis is not None:
            units = entry.units
            if units is None or self._reader.turn >= units.busy_from:
                self._look_at_units(entry, tensor)
        place.calls += 1
        held.append(entry)
        self.listen(entry, tensor)
        self._last = self._outputs[id(tensor)] = weakref.ref(tensor)
        self._last_version = _version(tensor)
        return entry

    def listen(self, entry: Entry, tensor: Tensor) -> None:
        """Record the gradient that reaches `tensor` as the entry's."""
        if not tensor.requires_grad:
            return
        node = tensor.grad_fn
        if node is None:  # a leaf
            self._hooks.append(tensor.register_hook(entry.of_tensor))  # type: ignore[no-untyped-call]
            return
        # half the price of a tensor's hook, and it meets the gradient that flows on
        entry.output_number = tensor.output_nr
        self._hooks.append(node.register_prehook(entry))

    def layers(self) -> list[str]:
        """The stages whose outputs are held."""
        return [entry.place.layer() for entry in self._held]

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
        self._record([e for e in self._held if e.graded or (e.root in roots and not e.needs_grad)])
        self.forget()

    def flush_all(self) -> None:
        """Record everything held, as when a script ends between forward and backward."""
        self._record(self._held)
        self.forget()

    def forget(self) -> None:
        """Drop what is held."""
        for hook in self._hooks:
            hook.remove()  # an output may outlive its step; a parameter that is one surely does
        for entry in self._held:
            entry.place.calls = 0
        self._hooks.clear()
        self._held.clear()
        self._graded.clear()
        self._outputs.clear()
        self._pool.clear()
        self._last = lambda: None

    def measure_gradient(self, entry: Entry, grad: Tensor) -> None:
        """A gradient came back to an entry's output; a second one adds to the first."""
        entry.graded = True
        self._graded.append((entry, self._pool.take(grad)))

    def _look_at_units(self, entry: Entry, tensor: Tensor) -> None:
        axis = entry.axis
        if axis is None or tensor.layout is not torch.strided or not tensor.numel():
            return
        kind = kind_of(tensor)
        if not kind and unreadable(tensor):
            return
        units = entry.units
        shape = unit_shape(entry.shape, axis)
        if units is None or units.units != shape[1]:
            exact = self._reader.lines is None
            units = entry.units = UnitWatch(shape[1], entry.place.op, exact=exact)
        x = tensor.data_ptr() if kind == FLOAT32 else by_unit(tensor, axis)
        units.see(x, shape, self._reader.turn)

    def _record(self, entries: list[Entry]) -> None:
        if not entries:
            return
        recorder, pool = self._recorder, self._pool
        graded = [entry for entry, _ in self._graded]
        key = tuple(map(id, entries)), tuple(map(id, graded))
        chart = self._charts.get(key)
        if chart is None:
            if len(self._charts) >= _CHARTS:
                self._charts.clear()
            chart = self._charts[key] = Chart.of(entries, graded, recorder)
        readings = [entry.reading for entry in entries]
        readings += [reading for _, reading in self._graded]
        recorder.take(pool.settle(), np.array(readings, dtype=np.int64), chart.ids)
        self._record_units(entries, chart)
        for entry, call in zip(entries, chart.calls, strict=True):
            if entry.feed is not None:
                self._record_feed(entry, entry.feed, entry.place.name(call))
        if self._reader.bins:
            for reading, site in zip(readings, chart.ids.tolist(), strict=True):
                counts = pool.counts(reading)
                if counts is not None:
                    recorder.count(site, counts)

    def _record_units(self, entries: list[Entry], chart: Chart) -> None:
        columns: list[int] = []
        values: list[float] = []
        for entry, at in zip(entries, chart.columns, strict=True):
            if entry.units is None:
                continue
            for quantity, share in entry.units.found.items():
                columns.append(at[quantity])
                values.append(share)
            if entry.units.bounds is not None:
                outside = self._pool.outside(entry.reading, entry.units.bounds)
                if outside is not None:
                    columns.append(at["saturated"])
                    values.append(outside)
        if columns:
            self._recorder.put_columns(np.array(columns, dtype=np.int64), np.array(values))

    def _record_feed(self, entry: Entry, feed: Feed, name: str) -> None:
        details = {**entry.details(name), "shape": feed.shape}
        site = self._recorder.site(name, "input", **details)
        self._recorder.take_one(feed.row, site)
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
