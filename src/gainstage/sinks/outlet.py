"""Hands on what a live watch writes, counts what that takes, and keeps failures to itself."""

from __future__ import annotations

import os
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gainstage.records import Event, Finding, Frame, RunInfo, Series, Site
from gainstage.sinks import names
from gainstage.sinks.names import Plan
from gainstage.sinks.reading import Reading
from gainstage.sinks.selection import Chosen
from gainstage.sketch import Histogram
from gainstage.store import Writer

_NOTHING: Final = Plan.of((), (), lambda _: False)


@dataclass(slots=True)
class _Channel:
    """One sink, what it gets, and what it took."""

    sink: Chosen
    plan: Plan = _NOTHING
    seconds: float = 0.0
    is_off: bool = False


class Outlet:
    """Where a probe's frames go: into the run's file, and from there on to sinks.

    The file comes first, so whatever a sink does, the step is kept.

    Args:
        writer: of the run's file.
        info: what is known of the run so far.
        sinks: in which order they are called.
    """

    def __init__(self, writer: Writer, info: RunInfo, sinks: Sequence[Chosen]) -> None:
        self._writer = writer
        self._info = info
        self._channels = [_Channel(sink) for sink in sinks]
        self._sites: list[Site] = []
        self._series: list[Series] = []
        self._histograms: dict[int, dict[int, Histogram]] = {}
        self._step = 0
        self._pid = os.getpid()

    @property
    def seconds(self) -> dict[str, float]:
        """What each sink has taken so far, by its name."""
        spent: dict[str, float] = {}
        for channel in self._channels:
            name = channel.sink.name
            spent[name] = spent.get(name, 0.0) + channel.seconds
        return spent

    def add(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Announce new sites and the series measured there."""
        self._writer.add(sites, series)
        self._sites.extend(sites)
        self._series.extend(series)
        for channel in self._channels:
            channel.plan = Plan.of(self._sites, self._series, channel.sink.wants)

    def write_frames(self, frames: Sequence[Frame]) -> None:
        """Keep some steps' numbers, and hand them on."""
        self._writer.write_frames(frames)
        for frame in frames:
            self._step = frame.step
            found = self._histograms.pop(frame.step, {})
            for channel in self._channels:
                self._try(channel, self._hand_on, frame, found)

    def add_histogram(self, site_id: int, step: int, histogram: Histogram) -> None:
        """Keep one step's histogram of one site."""
        self._writer.add_histogram(site_id, step, histogram)
        if self._channels:
            held = self._histograms.setdefault(step, {})
            known = held.get(site_id)
            held[site_id] = histogram if known is None else known + histogram

    def add_event(self, event: Event) -> None:
        """Keep one event."""
        self._writer.add_event(event)

    def tell(self, findings: Sequence[Finding]) -> None:
        """Tell every sink what the rules found so far, main one first."""
        self._all(Reading(self._info, self._step, time.time(), findings=tuple(findings)))

    def end(self) -> None:
        """Tell every sink that the run has ended."""
        self._all(Reading(self._info, self._step, time.time(), last=True))

    def _all(self, reading: Reading) -> None:
        for channel in self._channels:
            self._try(channel, lambda one: one.sink(reading))

    def _hand_on(self, channel: _Channel, frame: Frame, found: dict[int, Histogram]) -> None:
        if frame.step % channel.sink.every:
            return
        shapes = {names.histogram(self._sites[site]): one for site, one in found.items()}
        reading = Reading(
            self._info,
            frame.step,
            self._info.started + frame.t,
            channel.plan.scalars(frame.values),
            {name: one for name, one in shapes.items() if channel.sink.wants(name)},
        )
        channel.sink(reading)

    def _try(self, channel: _Channel, act: Callable[..., object], *args: object) -> None:
        """Call a sink; one that raises is not called again, and the run and the user are told."""
        if channel.is_off or os.getpid() != self._pid:  # a fork's sinks are its parent's
            return
        start = time.perf_counter()
        try:
            act(channel, *args)
        except Exception as error:  # noqa: BLE001 - nothing of a sink's may reach the training
            channel.is_off = True
            told = traceback.format_exception_only(error)[-1].strip()
            name = channel.sink.name
            with suppress(Exception):  # the file is closed by now, or the disk is full
                self.add_event(Event(self._step, "sink-off", name, {"message": told}))
            with suppress(Exception):  # the user may have made warnings errors
                warnings.warn(
                    f"The sink {name} failed and gets nothing more; the training and its run "
                    f"file go on. {told}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        finally:
            channel.seconds += time.perf_counter() - start
