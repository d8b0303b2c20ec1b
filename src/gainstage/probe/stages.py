"""The signal chain: what each stage puts out, and the gradient that comes back to it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final, TypeGuard

import torch
from torch import Tensor, nn

from gainstage.probe.evaluation import Evaluation
from gainstage.probe.guard import Guard
from gainstage.probe.held import Held
from gainstage.probe.places import Chart, Entry, Feed, Place
from gainstage.probe.ranks import is_distributed, merge_of
from gainstage.probe.recorder import Recorder
from gainstage.probe.spreads import running_gap, sample_spread
from gainstage.probe.unitlooks import UnitLooks
from gainstage.probe.units import by_unit, feature_numbers
from gainstage.sketch import rows
from gainstage.sketch.elsewhere import is_elsewhere
from gainstage.sketch.pool import Pool
from gainstage.sketch.reader import kind_of
from gainstage.sketch.tensors import version_of

_CHARTS: Final = 16
"""Courses of a backward pass that are remembered."""


class Stages:
    """Measures outputs at once and records them when a gradient has come back through them.

    A forward pass that nobody differentiates (validation) leaves no trace. Calls of one stage
    within a step are told apart as ``name``, ``name#2``, ...; micro-batches merge.
    """

    def __init__(self, recorder: Recorder, guard: Guard) -> None:
        self.in_backward = False
        """Whether a backward runs for a step; gradients of a penalty pass unmeasured."""
        self.feeding = True
        """Whether this is a step in which the data that enter are looked at."""
        self.guard = guard
        self.evaluation = Evaluation(recorder.reader)
        self._recorder = recorder
        self._reader = recorder.reader
        self._pool = Pool(recorder.reader)
        self.held = Held(self._pool)
        self._begun = False  # a forward pass, since the last backward
        self._charts: dict[tuple[object, ...], Chart] = {}
        self._outputs: dict[int, Callable[[], Tensor | None]] = {}
        self._last: Callable[[], Tensor | None] = lambda: None
        self._last_version = 0
        self._last_pointer = 0
        self._units = UnitLooks(recorder)

    def output(self, place: Place, tensor: Tensor, *, root: int = 0) -> Entry | None:
        """Read what a stage returned and listen for its gradient.

        Args:
            place: the stage.
            tensor: its output, floating-point.
            root: number of the outermost module call that this one is part of.

        Returns:
            The entry; None if the tensor is a view of the previous one, or a scalar.
        """
        kind = kind_of(tensor, in_order=False)
        if not kind and (not _is_floating(tensor) or self._is_last(tensor)):
            return None
        shape = tensor.shape
        if not shape:
            return None
        pool, held = self._pool, self.held.entries
        reading = pool.take(tensor, kind)
        # a view of what was read last begins where that begins
        if kind and pool.pointer == self._last_pointer and self._is_last(tensor):
            pool.give_back(reading)
            return None
        if not self._begun or len(held) >= self.held.most:
            self._begin_or_drop()
        entry = place.enter(self, reading, root)
        if shape != entry.shape:
            entry.shape = shape
            entry.dtype = tensor.dtype
            entry.merge = "sum" if type(tensor) is Tensor else merge_of(tensor, "sum")
            entry.axis = place.axis(shape, held[-1] if held else None)
            entry.units = entry.units_elsewhere = None
        if entry.axis is not None:
            units = entry.units
            if units is None or self._reader.turn >= units.busy_from:
                self._units.look(entry, tensor, kind)
        held.append(entry)
        self.listen(entry, tensor)
        self._last = weakref.ref(tensor)
        self._last_pointer = pool.pointer
        self._last_version = version_of(tensor)
        if self.feeding:
            self._look_closer(entry, tensor, self._last)
        return entry

    def _look_closer(
        self, entry: Entry, tensor: Tensor, found: Callable[[], Tensor | None]
    ) -> None:
        """Take note of an output, and how much of it depends on the sample."""
        weighted = any(one.place.takes_data or one.needs_grad for one in self.held.entries)
        if weighted:  # what stages make of data before the first weights is still data
            self._outputs[id(tensor)] = found
        if _is_readable(tensor):
            entry.spreads["sample_spread"] = sample_spread(tensor)

    def _begin_or_drop(self) -> None:
        """The first output of a forward pass, or one of a pass that never ends."""
        self._begun = True
        self.feeding = self._recorder.looks_closer
        if len(self.held.entries) >= self.held.most:
            self.held.drop()

    def listen(self, entry: Entry, tensor: Tensor) -> None:
        """Record the gradient that reaches `tensor` as the entry's."""
        entry.needs_grad = tensor.requires_grad
        if not entry.needs_grad:
            return
        node = tensor.grad_fn
        if node is None:  # a leaf
            hook = tensor.register_hook(entry.of_tensor)  # type: ignore[no-untyped-call]
            self.held.hooks.append((entry, hook))
            return
        # half the price of a tensor's hook, and it meets the gradient that flows on
        entry.output_number = tensor.output_nr
        self.held.hooks.append((entry, node.register_prehook(entry)))

    def layers(self) -> list[str]:
        """The stages whose outputs are held."""
        return [entry.place.layer() for entry in self.held.entries]

    def look_at_input(self, entry: Entry, module: nn.Module, given: Tensor | None) -> None:
        """Now and then: is it data, and do a BatchNorm's two statistics agree?

        Args:
            entry: of a module's call.
            module: the module.
            given: its first input.
        """
        if entry.place.takes_data:
            self.feed(entry, given)
        if entry.place.keeps_statistics and module.training and _is_readable(given):
            entry.spreads["running_gap"] = running_gap(module, given)

    def feed(self, entry: Entry, tensor: Any) -> None:
        """Measure the data that enters the network at this stage, if that is what `tensor` is."""
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.requires_grad:
            return
        if self._is_output(tensor) or tensor.dim() < 2:
            return
        row = rows.new(1)[0]
        counts = self._reader.read(tensor, row, fresh=False)
        axis = 1 if entry.axis == 1 and tensor.dim() >= 3 else tensor.dim() - 1
        numbers: dict[str, float] = {}
        if row[rows.COUNT] > 0 and tensor.layout == torch.strided and not is_distributed(tensor):
            numbers = feature_numbers(by_unit(tensor, axis))
        entry.feed = Feed(row, counts, tuple(tensor.shape), numbers)

    def again(self, place: Place, tensor: Tensor) -> bool:
        """A checkpoint recomputed a stage: listen for its gradient here as well.

        Returns:
            Whether the first pass was measured; a reentrant checkpoint's runs without autograd.
        """
        measured, waiting = self.held.first(place)
        if waiting is not None:
            self.listen(waiting, tensor)
        return measured

    def flush(self) -> None:
        """After a backward: record the calls that it went through; another may come for others."""
        recorded = self.held.passed()
        self._record(recorded)
        self.held.over(recorded, self._recorder.step)
        self._begun = False
        self._last = lambda: None
        self._outputs = {key: one for key, one in self._outputs.items() if one() is not None}

    def flush_all(self) -> None:
        """Record everything held, as when a script ends between forward and backward."""
        self._record(self.held.never_passed())
        self.forget()

    def forget(self) -> None:
        """Drop what is held."""
        self.held.clear()
        self._begun = False
        self._outputs.clear()
        self._last = lambda: None

    def measure_gradient(self, entry: Entry, grad: Tensor) -> None:
        """A gradient came back to an entry's output; a second one adds to the first."""
        entry.graded = True
        self.held.graded.append((entry, self._pool.take(grad)))

    def _record(self, entries: list[Entry]) -> None:
        if not entries:
            return
        recorder, pool = self._recorder, self._pool
        chart = self._chart(entries, [entry for entry, _ in self.held.graded])
        readings = [entry.reading for entry in entries]
        readings += [reading for _, reading in self.held.graded]
        recorder.take(pool.settle(), chart.number(readings), chart.ids)
        for number, there in pool.elsewhere.items():
            recorder.read_later(there, int(chart.ids[readings.index(number)]))
        self._units.record(chart, self._charts.values(), pool)
        if chart.with_modes:
            asleep = sum(entries[i].asleep for i in chart.with_modes)
            recorder.put_run(eval_mode=asleep / len(chart.with_modes))
        if self.feeding:
            self._record_closer_look(chart)
        if self._reader.bins:
            for reading, site in zip(readings, chart.ids.tolist(), strict=True):
                counts = pool.counts(reading)
                if counts is not None:
                    recorder.count(site, counts)

    def _chart(self, entries: list[Entry], graded: list[Entry]) -> Chart:
        missing = self.held.missing(entries)
        key = tuple(map(id, entries)), tuple(map(id, graded)), tuple(missing.items())
        chart = self._charts.get(key)
        if chart is None:
            if len(self._charts) >= _CHARTS:
                self._charts.clear()
            chart = self._charts[key] = Chart.of(entries, graded, self._recorder, missing)
        return chart

    def _record_closer_look(self, chart: Chart) -> None:
        for entry, call, at in zip(chart.entries, chart.calls, chart.columns, strict=True):
            if entry.feed is not None:
                self._record_feed(entry, entry.feed, entry.place.name(call))
            for quantity, value in entry.spreads.items():
                self._recorder.put_columns(at[quantity], value)

    def _record_feed(self, entry: Entry, feed: Feed, name: str) -> None:
        details = {**entry.details(name), "shape": feed.shape}
        self.evaluation.learn(entry.place.layer(), feed.row)
        site = self._recorder.site(name, "input", **details)
        self._recorder.take_one(feed.row, site)
        self._recorder.put(site, feed.numbers)
        if feed.counts is not None:
            self._recorder.count(site.id, feed.counts)

    def _is_last(self, tensor: Tensor) -> bool:
        """Whether a tensor is, or is another view of, what was read last."""
        last = self._last()
        if last is None or version_of(last) != self._last_version:
            return False
        if last is tensor:
            return True
        base = tensor._base  # noqa: SLF001 - how torch names a view's origin
        origin = last if last._base is None else last._base  # noqa: SLF001
        return base is not None and base is origin and tensor.numel() == last.numel()

    def _is_output(self, tensor: Tensor) -> bool:
        found = self._outputs.get(id(tensor))
        return found is not None and found() is tensor


def _is_readable(tensor: Tensor | None) -> TypeGuard[Tensor]:
    if tensor is None or tensor.dim() < 2:
        return False
    return kind_of(tensor, in_order=False) > 0 or is_elsewhere(tensor)


def _is_floating(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not tensor.is_nested
