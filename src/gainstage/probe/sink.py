"""Where the probe's frames go: the file of a run, or memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gainstage.recording import MemoryRecording
from gainstage.records import Event, Frame, Series, Site
from gainstage.sketch import Histogram


class Sink(Protocol):
    """Where frames go: a run file's writer, or memory."""

    def add(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Announce new sites and the series measured there."""

    def write_frames(self, frames: Sequence[Frame]) -> None:
        """Keep some steps' numbers, one per series announced so far."""

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
        self.rows: list[NDArray[np.float32] | NDArray[np.float64]] = []
        self.histograms: dict[int, Histogram] = {}
        self.events: list[Event] = []

    def add(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Announce new sites and the series measured there."""
        self.sites.extend(sites)
        self.series.extend(series)

    def write_frames(self, frames: Sequence[Frame]) -> None:
        """Keep some steps' numbers."""
        for frame in frames:
            self.steps.append(frame.step)
            self.rows.append(frame.values)

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
        with np.errstate(over="ignore"):  # a float64 beyond float32 reads as infinite
            for row, values in zip(matrix, self.rows, strict=True):
                row[: len(values)] = values
        return MemoryRecording(
            self.sites,
            {(s.site, s.quantity): matrix[:, s.id] for s in self.series},
            steps=self.steps,
            events=self.events,
            histograms=self.histograms,
        )
