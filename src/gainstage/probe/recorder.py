"""Rows out of measurements: which sites there are, and one frame of numbers a step."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gainstage.quantities import QUANTITIES, SUMMARY_KEYS
from gainstage.recording import MemoryRecording
from gainstage.records import Event, Kind, Series, Site
from gainstage.sketch import Histogram
from gainstage.sketch.sketch import Sketch
from gainstage.sketch.tensors import measure

HISTOGRAMS_ALWAYS: Final = 16
HISTOGRAMS_EVERY: Final = 8
"""Histograms are kept of the first steps, then of every eighth: shapes change slowly, and a
histogram costs more to store than all other numbers of a site together."""


class Sink(Protocol):
    """Where frames go: a run file's writer, or memory."""

    def add(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Announce new sites and the series measured there."""

    def write_frame(self, step: int, values: NDArray[np.float32], t: float) -> None:
        """Keep one step's numbers, one per series announced so far."""

    def add_histogram(self, site_id: int, step: int, histogram: Histogram) -> None:
        """Keep one step's histogram of one site."""

    def add_event(self, event: Event) -> None:
        """Keep one event."""


class MemorySink:
    """A sink that keeps everything, for single passes and tests."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.series: list[Series] = []
        self.steps: list[int] = []
        self.rows: list[NDArray[np.float32]] = []
        self.histograms: dict[int, Histogram] = {}
        self.events: list[Event] = []

    def add(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Announce new sites and the series measured there."""
        self.sites.extend(sites)
        self.series.extend(series)

    def write_frame(self, step: int, values: NDArray[np.float32], t: float) -> None:
        """Keep one step's numbers."""
        del t
        self.steps.append(step)
        self.rows.append(values)

    def add_histogram(self, site_id: int, step: int, histogram: Histogram) -> None:
        """Add one step's histogram to the site's."""
        del step
        self.histograms[site_id] = self.histograms.get(site_id, Histogram.empty()) + histogram

    def add_event(self, event: Event) -> None:
        """Keep one event."""
        self.events.append(event)

    def recording(self) -> MemoryRecording:
        """What was kept, as a recording."""
        matrix = np.full((len(self.rows), len(self.series)), np.nan, dtype=np.float32)
        for row, values in zip(matrix, self.rows, strict=True):
            row[: len(values)] = values
        return MemoryRecording(
            self.sites,
            {(s.site, s.quantity): matrix[:, s.id] for s in self.series},
            steps=self.steps,
            events=self.events,
            histograms=self.histograms,
        )


class Recorder:
    """Collects the numbers of one step and writes them as one frame.

    Outputs and their gradients that are seen several times within a step (micro-batches) merge
    by addition; parameters' numbers are set, the last one counts.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.step = 0
        self._sites: dict[tuple[str, Kind], Site] = {}
        self._columns: dict[tuple[int, str], int] = {}
        self._orders: dict[str, int] = {}
        self._sketches: dict[int, Sketch] = {}
        self._numbers: dict[int, float] = {}
        self._grads: set[int] = set()
        self._start = time.monotonic()
        self._last = self._start
        self.run = self.site("run", "run", layer="", op="")

    def order(self, layer: str) -> int:
        """Rank of a stage in the forward pass; asked for the first time, it is the next one."""
        return self._orders.setdefault(layer, len(self._orders))

    def site(self, name: str, kind: Kind, *, layer: str, op: str, **details: Any) -> Site:
        """The site of that name and kind, made on first use.

        Args:
            name: what the user calls it.
            kind: which of the stage's signals.
            layer: the stage.
            op: the operation.
            **details: further fields of :class:`Site` for a new one.
        """
        found = self._sites.get((name, kind))
        if found is not None:
            return found
        order = 0 if kind == "run" else self.order(layer)
        site = Site(len(self._sites), name, kind, layer, op, order, **details)
        self._sites[name, kind] = site
        series = [
            Series(len(self._columns) + i, site.id, quantity.key)
            for i, quantity in enumerate(q for q in QUANTITIES.values() if kind in q.kinds)
        ]
        self._columns.update({(site.id, s.quantity): s.id for s in series})
        self.sink.add([site], series)
        if kind == "grad":
            self._grads.add(site.id)
        return site

    def merge(self, site: Site, sketch: Sketch) -> None:
        """Add a sketch to what this step already has at the site."""
        held = self._sketches.get(site.id)
        self._sketches[site.id] = sketch if held is None else held + sketch

    def set(self, site: Site, sketch: Sketch) -> None:
        """Replace what this step has at the site."""
        self._sketches[site.id] = sketch

    def put(self, site: Site, numbers: Mapping[str, float]) -> None:
        """Set single quantities of this step at the site."""
        for quantity, value in numbers.items():
            self._numbers[self._columns[site.id, quantity]] = value

    def put_run(self, **numbers: float) -> None:
        """Set single quantities of the run at this step."""
        self.put(self.run, numbers)

    def add_run(self, **numbers: float) -> None:
        """Add to quantities of the run at this step."""
        for quantity, value in numbers.items():
            column = self._columns[self.run.id, quantity]
            self._numbers[column] = self._numbers.get(column, 0.0) + value

    def event(self, code: str, site: str = "", **data: Any) -> None:
        """Record that something happened at the current step."""
        self.sink.add_event(Event(self.step, code, site, data))

    def measure(self, tensor: Tensor) -> Sketch:
        """Measure a tensor for this step: with its histogram if this is a step that has some."""
        return measure(tensor, bins=self.bins)

    @property
    def bins(self) -> bool:
        """Whether this is a step of which histograms are kept."""
        return self.step < HISTOGRAMS_ALWAYS or self.step % HISTOGRAMS_EVERY == 0

    @property
    def pending(self) -> bool:
        """Whether anything was measured since the last frame."""
        return bool(self._sketches or self._numbers)

    def commit(self, probe_seconds: float) -> None:
        """Write this step's frame and begin the next."""
        now = time.monotonic()
        self.put_run(seconds=now - self._last, probe_seconds=probe_seconds)
        norms = [self._sketches[site].summary.l2 for site in self._grads & self._sketches.keys()]
        if norms:
            self.put_run(grad_norm=math.hypot(*norms))
        self._last = now
        row = np.full(len(self._columns), np.nan, dtype=np.float32)
        with np.errstate(over="ignore"):  # a float64 beyond float32 reads as infinite
            for site_id, sketch in self._sketches.items():
                if sketch.reason:
                    continue
                first = self._columns[site_id, SUMMARY_KEYS[0]]
                row[first : first + len(SUMMARY_KEYS)] = sketch.summary.values()
                if sketch.histogram is not None:
                    self.sink.add_histogram(site_id, self.step, sketch.histogram)
            for column, value in self._numbers.items():
                row[column] = value
        self.sink.write_frame(self.step, row, now - self._start)
        self._sketches.clear()
        self._numbers.clear()
        self.step += 1

    @property
    def seconds(self) -> float:
        """Wall time from the beginning to the last frame."""
        return self._last - self._start
