"""The reading half of the store: a run file as a recording, also while it is being written."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self, override

from gainstage.recording import Recording, Values, Window
from gainstage.records import Event, Finding, Remedy, RunInfo, Site
from gainstage.sketch import Histogram
from gainstage.store import problems
from gainstage.store.catalogue import read_catalogue
from gainstage.store.codec import is_intact, to_float32, unpack_values
from gainstage.store.compaction import Overview, rollup
from gainstage.store.source import Source
from gainstage.store.timeline import Timeline
from gainstage.store.windows import SIZES, cover

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]


class StoredRecording(Recording):
    """A recording in a run file, read as far as it is asked for.

    It shows the run as of its opening or the last :meth:`refresh`, and may be used beside a live
    writer, after a kill, and from several threads. While a training writes, each reading opens
    the file anew, so as not to stand in the way of its clean end; inside a ``with`` block the
    file is held open, which is faster for many series of a live or killed run.

    A number whose row is damaged is NaN, and :attr:`damaged` counts such rows. The file is taken
    for a stranger's: whatever is not as Gainstage writes it is refused, and nothing in it is run.

    Args:
        path: of the run file.

    Raises:
        RunFileError: there is no such file, it is no run file, it is damaged as a whole, or its
            format is newer than this code. Any later reading may raise it as well.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._source = Source(self.path)
        self._lock = threading.RLock()
        self._timeline = Timeline()
        self._bad: set[tuple[object, ...]] = set()
        self.refresh()

    def __enter__(self) -> Self:
        self._source.hold()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. A later reading opens it again."""
        self._source.close()

    def refresh(self) -> bool:
        """Take in what was written since; True if there are new steps."""
        with self._lock, self._source.reading() as connection:
            self._catalogue = read_catalogue(connection, self.path)
            known = self._timeline.last
            self._timeline = self._timeline.extended(connection, self.path)
            return self._timeline.last != known

    def share(self, other: StoredRecording) -> None:
        """Keep one copy of the names that both files have alike, as those of ranks do."""
        self._catalogue = self._catalogue.like(other._catalogue)

    @property
    @override
    def info(self) -> RunInfo:
        return self._catalogue.info

    @property
    @override
    def sites(self) -> tuple[Site, ...]:
        return self._catalogue.sites

    @property
    @override
    def steps(self) -> NDArray[np.int64]:
        return self._timeline.steps

    @property
    @override
    def times(self) -> FloatArray:
        """Seconds since the start of the run, aligned with :attr:`steps`: float64 [T]."""
        return self._timeline.times

    @property
    @override
    def events(self) -> tuple[Event, ...]:
        return self._catalogue.events

    @property
    @override
    def findings(self) -> tuple[Finding, ...]:
        return self._catalogue.findings

    @property
    def blocks(self) -> NDArray[np.int64]:
        """Where in :attr:`steps` each entry of an :meth:`overview` may begin: int64 [B]."""
        timeline = self._timeline
        starts = [place.start for place in timeline.places.values()]
        tail = [timeline.tail_start] if timeline.tail_start < len(timeline.steps) else []
        return np.array([*starts, *tail], dtype=np.int64)

    @property
    @override
    def remedies(self) -> tuple[Remedy, ...]:
        return self._catalogue.remedies

    @property
    def damaged(self) -> int:
        """Damaged rows met so far: frames, chunks of a series, histograms."""
        return len(self._bad | self._timeline.bad)

    @override
    def quantities(self, site: Site) -> tuple[str, ...]:
        return self._catalogue.quantities.get(site.id, ())

    @override
    def values(self, site: Site, quantity: str) -> Values:
        return to_float32(self.exact(site, quantity))

    def exact(self, site: Site, quantity: str, span: slice | None = None) -> FloatArray:
        """The same as it is stored, float64 in a rank's own file: float64 [T].

        Args:
            site: where.
            quantity: which.
            span: positions in :attr:`steps` (both ends given) to read; all by default.
        """
        series = self._catalogue.series.get((site.id, quantity))
        timeline = self._timeline
        span = span or slice(0, len(timeline.steps))
        found = np.full(span.stop - span.start, np.nan)
        if series is None:
            return found
        with self._lock, self._source.reading() as connection:
            rows = connection.execute(
                "SELECT step0, n, crc, v FROM chunk "
                "WHERE series = ? AND step0 BETWEEN ? AND ? AND step0 <= ?",
                (series, *timeline.bounds(span), timeline.last_block),
            )
            for step0, n, crc, blob in rows:
                place = timeline.places.get(step0)
                if place is None:  # its block is damaged, and counted
                    continue
                sound = is_intact(blob, crc, series, step0, n)
                values = unpack_values(blob, place.stop - place.start) if sound else None
                if values is None:
                    self._bad.add(("chunk", series, step0))
                else:
                    _lay(found, values, place.start - span.start)
        if timeline.tail_start < span.stop:
            _lay(found, timeline.tail(series), timeline.tail_start - span.start)
        return found

    def overview(self, site: Site, quantity: str) -> Overview:
        """A series at low resolution, in a time that hardly depends on its length.

        Args:
            site: where.
            quantity: which.

        Returns:
            One entry for each chunk in which it was measured, and one for the steps after them.
        """
        series = self._catalogue.series.get((site.id, quantity), -1)
        timeline = self._timeline
        with self._lock, self._source.reading() as connection:
            rows = connection.execute(
                "SELECT step0, min, max, mean FROM rollup WHERE series = ? AND step0 <= ? "
                "ORDER BY step0",
                (series, timeline.last_block),
            ).fetchall()
        try:
            steps = [int(row[0]) for row in rows]
            table = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 3)
        except (TypeError, ValueError, OverflowError) as error:
            raise problems.altered(self.path, f"a rollup of series {series}") from error
        tail = timeline.tail(series)
        if series >= 0 and not np.isnan(tail).all():
            steps.append(int(timeline.steps[timeline.tail_start]))
            table = np.concatenate([table, rollup(tail[None, :])[:3].T])
        return Overview(np.array(steps, dtype=np.int64), *table.T)

    @override
    def histogram(self, site: Site, start: int = 0, stop: int | None = None) -> Histogram:
        merged = Histogram.empty()
        with self._lock, self._source.reading() as connection:
            rows = connection.execute(
                "SELECT window, step0, n FROM hist WHERE site = ?", (site.id,)
            ).fetchall()
            for window in cover(self._windows(rows), start, stop, self._timeline.last + 1):
                key = (site.id, *window)
                row = connection.execute(
                    "SELECT crc, v FROM hist WHERE site = ? AND window = ? AND step0 = ?", key[:3]
                ).fetchone()
                part = self._histogram(row, key)
                merged = merged if part is None else merged + part
        return merged

    @override
    def windows(self, site: Site) -> dict[Window, Histogram]:
        """Every stored histogram of a site, by the window of steps that it is of."""
        found: dict[Window, Histogram] = {}
        with self._lock, self._source.reading() as connection:
            rows = connection.execute(
                "SELECT window, step0, n, crc, v FROM hist WHERE site = ?", (site.id,)
            ).fetchall()
            stored = {row[:3]: row[3:] for row in rows}
            for window in self._windows(list(stored)):
                part = self._histogram(stored[window], (site.id, *window))
                if part is not None:
                    found[window] = part
        return found

    def frame(self) -> pd.DataFrame:
        """All numbers of the run as a pandas frame.

        Returns:
            One row a step (the index is ``step``) and one float32 column a series, named by
            (site, kind, quantity); for example ``frame["layers.0", "output", "rms"]``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from gainstage.store.frame import to_frame  # noqa: PLC0415  # pandas only when asked for

        with self.held():
            return to_frame(self)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file open, and as it is, for many readings."""
        with self._lock, self._source.held():
            yield

    def _windows(self, rows: list[tuple[Any, ...]]) -> Iterator[Window]:
        for size, step0, n in rows:
            sound = isinstance(step0, int) and isinstance(n, int) and step0 >= 0 and n >= 1
            if sound and size in SIZES:
                yield Window(size, step0, n)
            else:
                self._bad.add(("hist", size, step0, n))

    def _histogram(self, row: tuple[object, object], key: tuple[int, ...]) -> Histogram | None:
        crc, blob = row
        if isinstance(blob, bytes) and is_intact(blob, crc, *key):
            with contextlib.suppress(ValueError):
                part = Histogram.from_bytes(blob)
                if part.counts.min() >= 0:
                    return part
        self._bad.add(("hist", *key))
        return None


def _lay(into: FloatArray, values: NDArray[Any], at: int) -> None:
    """Lay `values` into an array from position `at` on, as far as they fall into it."""
    first, last = max(at, 0), min(at + len(values), len(into))
    if first < last:
        into[first:last] = values[first - at : last - at]
