"""A training as it was recorded: what rules judge and views draw, wherever it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from gainstage.records import Event, Finding, Kind, Remedy, RunInfo, Site
from gainstage.sketch import Histogram

Values = NDArray[np.float32]


class Window(NamedTuple):
    """What is known of a stored histogram without reading it.

    Attributes:
        size: its span in steps.
        step0: its first step.
        n: histograms merged into it.
    """

    size: int
    step0: int
    n: int

    @property
    def end(self) -> int:
        """One past its last step."""
        return self.step0 + self.size


class Recording(ABC):
    """The sites of a run and one number a step for each quantity measured there.

    Implementations keep the numbers in memory (:class:`MemoryRecording`) or read them from a
    run file (:class:`gainstage.store.StoredRecording`). A number that was not measured at a step
    is NaN; NaN *elements* of a tensor are counted by the quantity ``"nan"``.
    """

    @property
    @abstractmethod
    def info(self) -> RunInfo:
        """What is known of the run as a whole."""

    @property
    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """All sites, by id."""

    @property
    @abstractmethod
    def steps(self) -> NDArray[np.int64]:
        """The recorded steps in ascending order: [T]."""

    @property
    def ends(self) -> NDArray[np.int64]:
        """The last step that each entry of :attr:`steps` stands for: usually itself: [T]."""
        return self.steps

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds since the start of the run until each step ended: [T]; NaN if unknown."""
        return np.full(len(self.steps), np.nan)

    @property
    def seconds(self) -> float:
        """Wall time of the run: what it said in the end, or else how far it has come."""
        known = self.times[np.isfinite(self.times)]
        return float(self.info.seconds) or float(known[-1] if len(known) else 0.0)

    @property
    @abstractmethod
    def events(self) -> tuple[Event, ...]:
        """What happened, in order."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings stored with the run, main one first; empty if never diagnosed."""
        return ()

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """The remedies stored with the run, verified ones first; empty if none was tried."""
        return ()

    @abstractmethod
    def quantities(self, site: Site) -> tuple[str, ...]:
        """The quantities measured at `site`."""

    @abstractmethod
    def values(self, site: Site, quantity: str) -> Values:
        """One number a step, aligned with :attr:`steps`: float32 [T]; all NaN if not measured."""

    @abstractmethod
    def histogram(self, site: Site, start: int = 0, stop: int | None = None) -> Histogram:
        """Histogram of the site's elements over the windows that meet steps ``start..stop``.

        Args:
            site: where.
            start: first step.
            stop: one past the last step; None for the end of the run.
        """

    def windows(self, site: Site) -> dict[Window, Histogram]:
        """Every histogram of a site by the window of steps that it is of; windows may nest.

        Args:
            site: where.
        """
        if not len(self.steps):
            return {}
        first, end = int(self.steps[0]), int(self.steps[-1]) + 1
        return {Window(end - first, first, 1): self.histogram(site)}

    def of_kind(self, kind: Kind) -> tuple[Site, ...]:
        """The sites of one kind in forward order."""
        return tuple(
            sorted((s for s in self.sites if s.kind == kind), key=lambda s: (s.order, s.id))
        )

    def site(self, name: str, kind: Kind) -> Site | None:
        """The site of that name and kind, or None."""
        return next((s for s in self.sites if s.name == name and s.kind == kind), None)

    def run_values(self, quantity: str) -> Values:
        """A quantity of the run as a whole, for example ``"loss"``: float32 [T]."""
        for site in self.sites:
            if site.kind == "run":
                return self.values(site, quantity)
        return np.full(len(self.steps), np.nan, dtype=np.float32)


class MemoryRecording(Recording):
    """A recording given as plain arrays: for tests, hand-written runs and single passes.

    Args:
        sites: the sites; their ids must be 0, 1, 2, ...
        values: (site id, quantity) to float32 [T].
        steps: the steps, 0 to T-1 by default.
        info: what is known of the run.
        events: what happened.
        histograms: site id to the histogram over the whole run.

    Example:
        >>> loss = Site(0, "run", "run", "", "", 0)
        >>> MemoryRecording([loss], {(0, "loss"): [2.3, 2.2]}).run_values("loss").tolist()
        [2.299999952316284, 2.200000047683716]
    """

    def __init__(
        self,
        sites: Sequence[Site],
        values: Mapping[tuple[int, str], Sequence[float] | Values],
        *,
        steps: Sequence[int] | None = None,
        info: RunInfo | None = None,
        events: Sequence[Event] = (),
        histograms: Mapping[int, Histogram] | None = None,
    ) -> None:
        self._sites = tuple(sites)
        self._values = {key: np.asarray(v, dtype=np.float32) for key, v in values.items()}
        length = max((len(v) for v in self._values.values()), default=0)
        self._steps = np.asarray(range(length) if steps is None else steps, dtype=np.int64)
        self._info = info or RunInfo(id="memory", started=0.0)
        self._events = tuple(events)
        self._histograms = dict(histograms or {})

    @property
    @override
    def info(self) -> RunInfo:
        return self._info

    @property
    @override
    def sites(self) -> tuple[Site, ...]:
        return self._sites

    @property
    @override
    def steps(self) -> NDArray[np.int64]:
        return self._steps

    @property
    @override
    def events(self) -> tuple[Event, ...]:
        return self._events

    @override
    def quantities(self, site: Site) -> tuple[str, ...]:
        return tuple(quantity for (where, quantity) in self._values if where == site.id)

    @override
    def values(self, site: Site, quantity: str) -> Values:
        found = self._values.get((site.id, quantity))
        return np.full(len(self._steps), np.nan, dtype=np.float32) if found is None else found

    @override
    def histogram(self, site: Site, start: int = 0, stop: int | None = None) -> Histogram:
        del start, stop  # one histogram a site: the whole run
        return self._histograms.get(site.id, Histogram.empty())
