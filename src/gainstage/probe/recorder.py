"""Rows out of measurements: which sites there are, and one frame of numbers a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gainstage.probe.numbers import StepNumbers, brought
from gainstage.probe.schedule import has_histograms, looks_closer
from gainstage.probe.sink import Sink
from gainstage.quantities import QUANTITIES
from gainstage.records import Event, Frame, Kind, Series, Site
from gainstage.sketch import Histogram, rows
from gainstage.sketch.compile import working_time
from gainstage.sketch.elsewhere import Reading, Values
from gainstage.sketch.reader import Counts, Reader
from gainstage.sketch.rows import Numbers, Row, Rows

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
        self._steps: list[tuple[Frame, StepNumbers]] = []
        self._written = working_time()
        self.step = 0
        self.reader = Reader(lines)
        self._sites: dict[tuple[str, Kind], Site] = {}
        self._orders: dict[str, int] = {}
        self._offsets: dict[Kind, dict[str, int]] = {}
        self._blank: Numbers64 = np.zeros(0)  # NaN for each series
        self._now = StepNumbers.blank(self._blank, _ROOM)
        self._columns = np.zeros(_ROOM, dtype=np.int64)  # the first of each site
        self._grads = np.zeros(0, dtype=np.int64)
        self._start = working_time()
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
        self._blank, self._now.frame = (
            np.concatenate([numbers, unknown]) for numbers in (self._blank, self._now.frame)
        )
        if kind == "grad":
            self._grads = np.append(self._grads, site.id)
        return site

    def has_site(self, name: str, kind: Kind) -> bool:
        """Whether there is a site of that name and kind."""
        return (name, kind) in self._sites

    def _make_room(self) -> None:
        now, more = self._now, len(self._now.rows)
        if len(self._sites) > more:
            now.rows = np.pad(now.rows, ((0, more), (0, 0)))
            now.taken = np.pad(now.taken, (0, more))
            self._columns = np.pad(self._columns, (0, more))

    def read(self, tensor: Tensor, site: Site, *, anew: bool = False) -> None:
        """Read a tensor of any kind, which may be an old one, and take the reading over.

        Args:
            tensor: the tensor.
            site: where the reading belongs.
            anew: replace what this step has there, rather than add to it.
        """
        row = rows.new(1)[0]
        counts = self.reader.read(tensor, row, fresh=False)
        self.take_one(row, site, anew=anew)
        if counts is not None:
            self.count(site.id, counts, anew=anew)

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
        now = self._now
        now.any = True
        rows.take(pool, places, sites, now.rows, now.taken, anew)
        if beside is not None:
            rows.scatter(*beside, now.frame)

    def take_one(self, row: Row, site: Site, *, anew: bool = False) -> None:
        """Take one reading over."""
        self.take(row[None], _FIRST, np.array([site.id]), anew=anew)

    def count(self, site: int, counts: Counts, *, anew: bool = False) -> None:
        """Add to, or replace, this step's histogram at the site of that id."""
        held = None if anew else self._now.counts.get(site)
        self._now.counts[site] = counts if held is None else held + counts

    def later(self, numbers: Tensor, use: Callable[[Values], None]) -> None:
        """Have numbers of this step that are on another device brought here, and used, later.

        Args:
            numbers: [n], n >= 1.
            use: given them as an array, records them by the methods of this class as if the step
                were still open. All sites must be there.
        """
        self._now.later.append((numbers, use))

    def read_later(self, reading: Reading, site: int, *, anew: bool = False) -> None:
        """Take over, later, a reading that is on another device, at the site of that id."""
        bins = self.reader.bins

        def use(values: Values) -> None:
            row = rows.new(1)
            reading.write(values, row[0])
            self.take(row, _FIRST, np.array([site]), anew=anew)
            counts = reading.counts(values) if bins else None
            if counts is not None:
                self.count(site, counts, anew=anew)

        self._now.any = True
        self.later(reading.values, use)

    def put(self, site: Site, numbers: Mapping[str, float]) -> None:
        """Set single quantities of this step at the site."""
        for quantity, value in numbers.items():
            self._now.frame[self.column(site, quantity)] = value
        self._now.any = True

    def column(self, site: Site, quantity: str) -> int:
        """Where in a frame a quantity of a site is."""
        return int(self._columns[site.id]) + self._offsets[site.kind][quantity]

    def put_columns(self, columns: Numbers | int, values: Numbers64 | float) -> None:
        """Set one quantity of this step or many, by their places in the frame."""
        self._now.frame[columns] = values

    def put_run(self, **numbers: float) -> None:
        """Set single quantities of the run at this step."""
        self._now.run.update(numbers)

    def add_run(self, **numbers: float) -> None:
        """Add to quantities of the run at this step."""
        found = self._now.run
        for quantity, value in numbers.items():
            found[quantity] = found.get(quantity, 0.0) + value

    def add_loss(self, differentiated: float, value: float) -> None:
        """Add to this step's loss: as differentiated, and without a scaler's factor if it shows."""
        self._now.scaled_loss += differentiated
        self.add_run(loss=value)

    def fold_run(self, fold: Callable[[float, float], float], **numbers: float) -> None:
        """Set quantities that another optimiser may have set: `fold` says which one counts."""
        for quantity, value in numbers.items():
            self._now.fold_run(quantity, value, fold)

    def event(self, code: str, site: str = "", **data: Any) -> None:
        """Record that something happened at the current step."""
        self.flush()
        self.sink.add_event(Event(self.step, code, site, data))

    @property
    def looks_closer(self) -> bool:
        """Whether this is a step of which data, units and samples are looked at as well."""
        return looks_closer(self.step)

    @property
    def pending(self) -> bool:
        """Whether anything was measured since the last frame."""
        return self._now.any or bool(self._now.run) or bool(self._now.later)

    def skip(self) -> float:
        """End this step without a record of it; how long it took."""
        now = working_time()
        seconds, self._last = now - self._last, now
        self._now.run.clear()
        self.step += 1
        self.reader.bins = has_histograms(self.step)
        return seconds

    def scaled_by(self, factor: float) -> None:
        """A gradient scaler steps that has put a factor on this step's loss."""
        self._now.scale = factor

    def commit(self, probe_seconds: float) -> float:
        """End this step and begin the next; it is written now or, soon, with others.

        Returns:
            How long the step took.
        """
        now = working_time()
        seconds, self._last = now - self._last, now
        self.put_run(seconds=seconds, probe_seconds=probe_seconds)
        step = self._now
        if step.any:
            self.reader.turn += 1
        if step.later:
            self._now = StepNumbers(
                self._blank.copy(), np.zeros_like(step.rows), np.zeros_like(step.taken)
            )
        else:
            self._finish(step)
            self._now = StepNumbers(self._blank.copy(), step.rows, step.taken)
        self._steps.append((Frame(self.step, step.frame, now - self._start), step))
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
        self._bring([step for _, step in steps if step.later])
        for frame, step in steps:
            for site, counts in step.counts.items():
                self.sink.add_histogram(site, frame.step, Histogram(counts))
        self.sink.write_frames([frame for frame, _ in steps])
        self._written = working_time()

    def _bring(self, steps: Sequence[StepNumbers]) -> None:
        """Finish steps some of whose numbers are on another device."""
        now = self._now
        try:
            for step in brought(steps):
                self._now = step
                step.use()
                self._finish(step)
        finally:
            self._now = now

    def _finish(self, step: StepNumbers) -> None:
        step.finish(self._columns, self._offsets["run"], self._grads)

    @property
    def seconds(self) -> float:
        """Wall time from the beginning to the last frame."""
        return self._last - self._start
