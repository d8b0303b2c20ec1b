"""A part of a stored run, read no finer than a reader can take in: what a page asks for."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from gainstage.quantities import QUANTITIES
from gainstage.recording import Recording, Values, Window
from gainstage.records import Event, Finding, Remedy, RunInfo, Site
from gainstage.sketch import Histogram
from gainstage.store.codec import Numbers, to_float32
from gainstage.store.merged import MergedRecording
from gainstage.store.reader import StoredRecording

CELLS: Final = 2_000_000
"""Sites times steps up to which every step is read; beyond it, the store's rollups."""

BLOCK: Final = 512
"""Steps that an entry of a merged recording stands for: nobody has rolled them up."""

FEWEST: Final = 600
"""Steps that are read one by one whatever the number of sites."""


class Excerpt(Recording):
    """The steps ``start..stop`` of a run, and the sites whose names match.

    A short range is read step by step. Of a long one an entry stands for a block of steps, as the
    store has rolled them up: the largest of a count or a share, for one NaN in a thousand steps is
    the one that matters, and the mean of anything else. The loss and whatever else is measured of
    the run as a whole is treated alike.

    Args:
        whole: the run; it must not be refreshed while its excerpt is in use.
        start: first step; None for the first recorded.
        stop: last step (included); None for the last recorded.
        match: what the names of the sites must contain, in any case; or a pattern with ``*`` and
            ``?`` for all of the name. The run itself always matches; None for it alone.
        cells: sites times steps up to which every step is read.

    Example:
        >>> matching("*.weight")("layers.0.weight"), matching("RS.1")("layers.1.weight")
        (True, True)
    """

    def __init__(
        self,
        whole: StoredRecording | MergedRecording,
        start: int | None = None,
        stop: int | None = None,
        *,
        match: str | None = "",
        cells: int = CELLS,
    ) -> None:
        self._whole = whole
        steps = whole.steps
        first = 0 if start is None else int(np.searchsorted(steps, start))
        last = len(steps) if stop is None else int(np.searchsorted(steps, stop, side="right"))
        self._span = slice(first, max(first, last))
        fits = (lambda name: False) if match is None else matching(match)  # noqa: ARG005
        self._sites = tuple(s for s in whole.sites if s.kind == "run" or fits(s.name))
        most = max(FEWEST, cells // max(len(self._sites), 1))
        self._coarse = self._span.stop - self._span.start > most
        starts = whole.blocks if isinstance(whole, StoredRecording) else _blocks(len(steps))
        held = (starts < self._span.stop) & (np.append(starts[1:], len(steps)) > self._span.start)
        self._blocks = np.flatnonzero(held) if self._coarse else np.empty(0, dtype=np.int64)
        self._starts = starts

    @property
    def coarse(self) -> bool:
        """Whether an entry stands for several steps."""
        return self._coarse

    @property
    @override
    def info(self) -> RunInfo:
        return self._whole.info

    @property
    @override
    def sites(self) -> tuple[Site, ...]:
        return self._sites

    @property
    @override
    def steps(self) -> NDArray[np.int64]:
        steps = self._whole.steps
        return steps[self._starts[self._blocks]] if self._coarse else steps[self._span]

    @property
    @override
    def ends(self) -> NDArray[np.int64]:
        if not self._coarse:
            return self.steps
        after = np.append(self._starts[1:], len(self._whole.steps))[self._blocks]
        return np.asarray(self._whole.steps[after - 1])

    @property
    @override
    def seconds(self) -> float:
        return self._whole.seconds

    @property
    @override
    def events(self) -> tuple[Event, ...]:
        return self._whole.events

    @property
    @override
    def findings(self) -> tuple[Finding, ...]:
        return self._whole.findings

    @property
    @override
    def remedies(self) -> tuple[Remedy, ...]:
        return self._whole.remedies

    @override
    def quantities(self, site: Site) -> tuple[str, ...]:
        return self._whole.quantities(site)

    @override
    def values(self, site: Site, quantity: str) -> Values:
        known = QUANTITIES.get(quantity)
        largest = known is not None and known.unit in {"count", "share"}
        if isinstance(self._whole, StoredRecording):
            return to_float32(self._stored(self._whole, site, quantity, largest))
        whole = self._whole.values(site, quantity)
        return (
            _rolled(whole, self._starts, largest)[self._blocks]
            if self._coarse
            else whole[self._span]
        )

    def _stored(self, whole: StoredRecording, site: Site, quantity: str, largest: bool) -> Numbers:
        if not self._coarse:
            return whole.exact(site, quantity, self._span)
        overview = whole.overview(site, quantity)
        begins = whole.steps[self._starts]
        place = np.minimum(np.searchsorted(begins, overview.step0), len(begins) - 1)
        sound = begins[place] == overview.step0  # the steps of any other block are damaged
        found = np.full(len(begins), np.nan)
        found[place[sound]] = (overview.max if largest else overview.mean)[sound]
        return found[self._blocks]

    @override
    def histogram(self, site: Site, start: int = 0, stop: int | None = None) -> Histogram:
        return self._whole.histogram(site, start, stop)

    @override
    def windows(self, site: Site) -> dict[Window, Histogram]:
        return self._whole.windows(site)


def matching(pattern: str) -> Callable[[str], bool]:
    """Whether a name contains `pattern`, or is described by it if it has ``*`` or ``?``.

    Args:
        pattern: of one line, in any case; an empty one fits all names.
    """
    wanted = pattern.strip().casefold()
    if "*" in wanted or "?" in wanted:
        expression = re.compile(fnmatch.translate(wanted))
        return lambda name: expression.match(name.casefold()) is not None
    return lambda name: wanted in name.casefold()


def _blocks(steps: int) -> NDArray[np.int64]:
    return np.arange(0, steps, BLOCK, dtype=np.int64)


def _rolled(values: Values, starts: NDArray[np.int64], largest: bool) -> Values:
    """One number a block, NaN left out, NaN if nothing was measured: [T] to [B]."""
    if largest:
        return np.fmax.reduceat(values, starts)
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.float64), starts)
    total = np.add.reduceat(np.where(known, values, 0.0).astype(np.float64), starts)
    with np.errstate(invalid="ignore"):
        return to_float32(total / np.where(count > 0, count, np.nan))
