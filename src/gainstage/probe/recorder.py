"""Rows out of measurements: which sites there are, and one frame of numbers a step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gainstage.probe.sink import Sink
from gainstage.quantities import QUANTITIES
from gainstage.records import Event, Frame, Kind, Series, Site
from gainstage.sketch import Histogram, rows
from gainstage.sketch.reader import Counts, Reader
from gainstage.sketch.rows import Numbers, Row, Rows
from gainstage.sketch.sketch import Sketch

HISTOGRAMS_ALWAYS: Final = 16
HISTOGRAMS_OFTEN: Final = 1024
HISTOGRAMS_EVERY: Final = (16, 64)
"""Histograms are kept of the first steps, then of every 16th, and from step 1,024 on of every
64th: shapes change slowly, and a histogram costs more to keep than all other numbers of a site
together."""


def has_histograms(step: int) -> bool:
    """Whether this is a step of which histograms are kept."""
    return step < HISTOGRAMS_ALWAYS or step % HISTOGRAMS_EVERY[step >= HISTOGRAMS_OFTEN] == 0


LOOKS_ALWAYS: Final = 16
LOOKS_EVERY: Final = 64
"""What changes slowly, or is known after a few steps, is looked at in the first steps, then now
and then."""

Numbers64 = NDArray[np.float64]

_ROOM: Final = 64
"""Sites for which there is room at first."""

_MOST_WAITING: Final = 64
_FIRST: Final = np.zeros(1, dtype=np.int64)


class Recorder:
    """Collects the numbers of one step and writes them as one frame.

    Outputs and their gradients that are seen several times within a step (micro-batches) merge
    by addition; parameters' numbers are set, the last one counts.

    Args:
        sink: where frames go.
        lines: cache lines in a sample of a tensor; None reads every element.
        wait: seconds that a step may wait for others, to be written with them at once.
    """

    def __init__(self, sink: Sink, *, lines: int | None = None, wait: float = 0.0) -> None:
        self.sink = sink
        self._wait = wait
        self._steps: list[Frame] = []
        self._kept: list[tuple[int, dict[int, Counts]]] = []  # histograms, by step
        self._written = time.monotonic()
        self.step = 0
        self.reader = Reader(lines)
        self._sites: dict[tuple[str, Kind], Site] = {}
        self._orders: dict[str, int] = {}
        self._offsets: dict[Kind, dict[str, int]] = {}
        self._blank: Numbers64 = np.zeros(0)  # NaN for each series
        self._frame = self._blank.copy()
        self._rows = rows.new(_ROOM)
        self._taken = np.zeros(_ROOM, dtype=np.uint8)
        self._columns = np.zeros(_ROOM, dtype=np.int64)  # the first of each site
        self._grads = np.zeros(0, dtype=np.int64)
        self._counts: dict[int, Counts] = {}
        self._run_numbers: dict[str, float] = {}
        self._any = False
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
        self.flush()  # what waits has as many numbers as there are series now
        order = 0 if kind == "run" else self.order(layer)
        site = Site(len(self._sites), name, kind, layer, op, order, **details)
        offsets = self._offsets.get(kind)
        if offsets is None:
            keys = (quantity.key for quantity in QUANTITIES.values() if kind in quantity.kinds)
            offsets = self._offsets[kind] = {key: i for i, key in enumerate(keys)}
        first = self._blank.size
        self.sink.add([site], [Series(first + i, site.id, key) for key, i in offsets.items()])
        self._sites[name, kind] = site  # only now: the sink may have refused
        self._make_room()
        self._columns[site.id] = first
        unknown = np.full(len(offsets), np.nan)
        self._blank, self._frame = (
            np.concatenate([numbers, unknown]) for numbers in (self._blank, self._frame)
        )
        if kind == "grad":
            self._grads = np.append(self._grads, site.id)
        return site

    def has_site(self, name: str, kind: Kind) -> bool:
        """Whether there is a site of that name and kind."""
        return (name, kind) in self._sites

    def _make_room(self) -> None:
        missing = len(self._sites) > len(self._rows)
        if missing:
            more = len(self._rows)
            self._rows = np.pad(self._rows, ((0, more), (0, 0)))
            self._taken = np.pad(self._taken, (0, more))
            self._columns = np.pad(self._columns, (0, more))

    def merge(self, site: Site, sketch: Sketch) -> None:
        """Add a sketch to what this step already has at the site."""
        row = rows.new(1)[0]
        if sketch.reason:
            row[rows.COUNT] = np.nan
        else:
            rows.from_summary(sketch.summary, row)
        self.take_one(row, site)
        if sketch.histogram is not None and not sketch.reason:
            self.count(site.id, sketch.histogram.counts)

    def set(self, site: Site, sketch: Sketch) -> None:
        """Replace what this step has at the site."""
        self._taken[site.id] = 0
        self._counts.pop(site.id, None)
        self.merge(site, sketch)

    def take(
        self,
        pool: Rows,
        places: Numbers,
        sites: Numbers,
        *,
        anew: bool = False,
        beside: tuple[Numbers64, Numbers, Numbers] | None = None,
    ) -> None:
        """Take readings over.

        Args:
            pool: float64 [n, rows.WIDTH]; one whose COUNT is NaN says that there was nothing.
            places: int64 [n], which of them.
            sites: int64 [n], the id of the site each belongs to.
            anew: replace what this step has there, rather than add to it.
            beside: single quantities: numbers, which of them, and the columns they go to.
        """
        self._any = True
        rows.take(pool, places, sites, self._rows, self._taken, anew)
        if beside is not None:
            rows.scatter(*beside, self._frame)

    def take_one(self, row: Row, site: Site, *, anew: bool = False) -> None:
        """Take one reading over."""
        self.take(row[None], _FIRST, np.array([site.id]), anew=anew)

    def count(self, site: int, counts: Counts, *, anew: bool = False) -> None:
        """Add to, or replace, this step's histogram at the site of that id."""
        held = None if anew else self._counts.get(site)
        self._counts[site] = counts if held is None else held + counts

    def put(self, site: Site, numbers: Mapping[str, float]) -> None:
        """Set single quantities of this step at the site."""
        for quantity, value in numbers.items():
            self._frame[self.column(site, quantity)] = value
        self._any = True

    def column(self, site: Site, quantity: str) -> int:
        """Where in a frame a quantity of a site is."""
        return int(self._columns[site.id]) + self._offsets[site.kind][quantity]

    def put_columns(self, columns: Numbers, values: Numbers64) -> None:
        """Set many quantities of this step at once, by their places in the frame."""
        self._frame[columns] = values

    def put_column(self, column: int, value: float) -> None:
        """Set one quantity of this step by its place in the frame."""
        self._frame[column] = value

    def put_run(self, **numbers: float) -> None:
        """Set single quantities of the run at this step."""
        self._run_numbers.update(numbers)

    def add_run(self, **numbers: float) -> None:
        """Add to quantities of the run at this step."""
        found = self._run_numbers
        for quantity, value in numbers.items():
            found[quantity] = found.get(quantity, 0.0) + value

    def event(self, code: str, site: str = "", **data: Any) -> None:
        """Record that something happened at the current step."""
        self.flush()
        self.sink.add_event(Event(self.step, code, site, data))

    @property
    def looks_closer(self) -> bool:
        """Whether this is a step of which data, units and samples are looked at as well."""
        return self.step < LOOKS_ALWAYS or self.step % LOOKS_EVERY == 0

    @property
    def bins(self) -> bool:
        """Whether this is a step of which histograms are kept."""
        return self.reader.bins

    @property
    def pending(self) -> bool:
        """Whether anything was measured since the last frame."""
        return self._any or bool(self._run_numbers)

    def skip(self) -> float:
        """End this step without a record of it; how long it took."""
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        self._run_numbers.clear()
        self.step += 1
        self.reader.bins = has_histograms(self.step)
        return seconds

    def commit(self, probe_seconds: float) -> float:
        """End this step and begin the next; it is written now or, soon, with others.

        Returns:
            How long the step took.
        """
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        frame, self._frame = self._frame, self._blank.copy()
        run = self._offsets["run"]  # its columns are the first ones
        if self._any:
            norm = rows.norm_of_all(self._rows, self._taken, self._grads)
            frame[run["grad_norm"]] = norm
            rows.write(self._rows, self._taken, self._columns, frame)
            self._taken.fill(0)
            self.reader.turn += 1
            self._any = False
        self.put_run(seconds=seconds, probe_seconds=probe_seconds)
        for quantity, value in self._run_numbers.items():
            frame[run[quantity]] = value
        self._run_numbers.clear()
        self._steps.append(Frame(self.step, frame, now - self._start))
        if self._counts:
            self._kept.append((self.step, self._counts))
            self._counts = {}
        self.step += 1
        self.reader.bins = has_histograms(self.step)
        if now - self._written >= self._wait or len(self._steps) >= _MOST_WAITING:
            self.flush()
        return seconds

    def flush(self) -> None:
        """Write the steps that wait."""
        if not self._steps:
            return
        steps, self._steps = self._steps, []
        kept, self._kept = self._kept, []
        for step, histograms in kept:
            for site, counts in histograms.items():
                self.sink.add_histogram(site, step, Histogram(counts))
        self.sink.write_frames(steps)
        self._written = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time from the beginning to the last frame."""
        return self._last - self._start
