"""Histograms merged over windows of 1, 10, 100 and 1000 steps: what is kept, what is read.

Windows are aligned to the first step that had a histogram, so each is the union of ten smaller
ones. What is kept of a site:

======  ===============================================================
window  kept
======  ===============================================================
1       those of the first 100 steps, and the last of the run
10      those of the first 1,000 steps, and the last of the run
100     those of the first 10,000 steps, and always the last ten or more
1000    all
======  ===============================================================

A window is stored when it closes, with the frame of its last step. So a kill loses at most the
smallest kept window that was still open: nothing in the first 100 steps, up to 10 steps of
histograms until step 1,000, up to 100 later on. A clean end stores the open ones as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gainstage.recording import Window
from gainstage.sketch import Histogram
from gainstage.sketch.histogram import pack

__all__ = ["KEEP", "SIZES", "Merger", "StoredWindow", "Superseded", "Window", "cover", "finest"]

SIZES: Final = (1, 10, 100, 1000)
"""Steps in a window; each size divides the next."""

KEEP: Final = 100
"""How many windows of each size are kept from the start of the run."""

_ALWAYS: Final = 100
"""From this size on every window is stored when it closes (and dropped when it is superseded)."""


class StoredWindow(NamedTuple):
    """A site's histogram over one window, to be stored."""

    site: int
    window: Window
    data: bytes


class Superseded(NamedTuple):
    """Windows of `size` of a site in ``start <= step0 < stop``, to be dropped."""

    site: int
    size: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class _Sparse:
    """A histogram's non-empty bins: a hundredth of the dense form's memory."""

    n: int
    bins: NDArray[np.intp]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, counts: NDArray[np.int64], n: int = 1) -> _Sparse:
        bins = (counts != 0).nonzero()[0]  # three times as fast as np.flatnonzero(counts)
        return cls(n, bins, counts[bins])

    @classmethod
    def sum(cls, parts: Sequence[_Sparse]) -> _Sparse:
        if len(parts) == 1:
            return parts[0]
        counts = Histogram.empty().counts
        for part in parts:
            counts[part.bins] += part.counts
        return cls.of(counts, sum(part.n for part in parts))


_Sites = dict[int, _Sparse]


def _add(into: _Sites, site: int, part: _Sparse) -> None:
    into[site] = _Sparse.sum([into[site], part]) if site in into else part


class Merger:
    """Merges histograms as the steps go by; says what to store and what to drop."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._waiting: dict[int, _Sites] = {}  # by step, until its frame is written
        self._open: dict[int, _Sites] = {size: {} for size in SIZES[1:]}
        self._fresh: dict[int, list[_Sparse]] = {}  # of the open window of 10: merged all at once
        self._start = dict.fromkeys(SIZES[1:], 0)
        self._unkept: dict[int, tuple[int, _Sites]] = {}  # the last closed and unstored, by size
        self.stored: list[StoredWindow] = []
        """To be written; the caller empties it once they are committed."""
        self.superseded: list[Superseded] = []
        """To be deleted after that; emptied likewise."""

    def add(self, site: int, step: int, histogram: Histogram) -> None:
        """Take a histogram; several of one site and step are merged."""
        _add(self._waiting.setdefault(step, {}), site, _Sparse.of(histogram.counts))

    def advance(self, step: int) -> None:
        """The frame of `step` is about to be written: merge up to it, close what ends with it."""
        for ready in sorted(s for s in self._waiting if s <= step):
            self._merge(ready, self._waiting.pop(ready))
        if self._first is not None:
            self._roll(step + 1)

    def flush(self) -> None:
        """The run ends: hand out the open windows as they are, and the last small ones."""
        for step in sorted(self._waiting):
            self._merge(step, self._waiting.pop(step))
        self._gather()
        for size, (start, sites) in self._unkept.items():
            if not self._open.get(size):
                self._store(sites, size, start)
        self._unkept = {}
        for size in SIZES[1:]:
            self._store(self._open[size], size, self._start[size])
            self._pass_on(size)

    def _merge(self, step: int, sites: _Sites) -> None:
        if self._first is None:
            self._first = step
            self._start = dict.fromkeys(SIZES[1:], step)
        self._roll(step)
        self._close(sites, 1, step)
        for site, part in sites.items():
            self._fresh.setdefault(site, []).append(part)

    def _roll(self, step: int) -> None:
        """Close the windows that end at or before `step`, small ones first; open the next."""
        first = self._first or 0
        for size in SIZES[1:]:
            start = self._start[size]
            if step < start + size:
                return
            self._gather()
            self._close(self._open[size], size, start)
            self._pass_on(size)
            self._start[size] = first + (step - first) // size * size

    def _gather(self) -> None:
        self._open[SIZES[1]].update((site, _Sparse.sum(p)) for site, p in self._fresh.items())
        self._fresh = {}

    def _close(self, sites: _Sites, size: int, start: int) -> None:
        """Store a window if it is one to keep; drop what it makes superfluous."""
        first = self._first or 0
        if size >= _ALWAYS or start - first < KEEP * size:
            self._store(sites, size, start)
        elif sites:
            self._unkept[size] = start, sites
        old = first + KEEP * _ALWAYS
        if size == SIZES[-1] and start > old:
            self.superseded.extend(Superseded(site, _ALWAYS, old, start) for site in sites)

    def _pass_on(self, size: int) -> None:
        if size != SIZES[-1]:
            for site, part in self._open[size].items():
                _add(self._open[size * 10], site, part)
        self._open[size] = {}

    def _store(self, sites: _Sites, size: int, step0: int) -> None:
        for site, part in sites.items():
            data = pack(part.bins, part.counts)
            self.stored.append(StoredWindow(site, Window(size, step0, part.n), data))


@dataclass(frozen=True, slots=True)
class _Node:
    """A stored window and the stored windows directly within it, in order."""

    window: Window
    children: list[_Node]

    def answers(self, start: int, stop: int) -> bool:
        """Whether the children can stand for this window over ``start <= step < stop``."""
        if sum(child.window.n for child in self.children) == self.window.n:
            return True
        reached = max(start, self.window.step0)
        for child in self.children:
            if child.window.step0 <= reached:
                reached = max(reached, child.window.end)
        return reached >= min(stop, self.window.end)


def cover(windows: Iterable[Window], start: int, stop: int | None, end: int) -> list[Window]:
    """The stored windows that together answer for ``start <= step < stop``, none twice.

    A window that lies within the range is taken whole, so a long range reads few rows. One that
    the range cuts is replaced by its smaller windows if these are complete there; if they are
    not, it is taken whole, and the answer reaches a little beyond the range.

    Args:
        windows: all stored windows of a site.
        start: first step.
        stop: one past the last; None for the end of the run.
        end: one past the last recorded step.

    Example:
        >>> stored = [Window(10, 0, 10), Window(10, 10, 10), Window(100, 0, 20)]
        >>> [w.size for w in cover(stored, 0, None, 20)], [w.size for w in cover(stored, 0, 5, 20)]
        ([100], [10])
    """
    ordered = sorted(windows, key=lambda window: (window.step0, -window.size))
    end = max(end, ordered[-1].step0 + 1) if ordered else end
    stop = end if stop is None else min(stop, end)
    found: list[Window] = []
    for root in _forest(ordered):
        found.extend(_pick(root, start, stop, end))
    return found


def finest(windows: Iterable[Window]) -> list[Window]:
    """The smallest stored windows that together answer for all that is stored, none twice.

    Args:
        windows: all stored windows of a site.

    Example:
        >>> finest([Window(10, 0, 3), Window(1, 0, 1), Window(1, 2, 1), Window(1, 5, 1)])
        [Window(size=1, step0=0, n=1), Window(size=1, step0=2, n=1), Window(size=1, step0=5, n=1)]
        >>> finest([Window(10, 0, 3), Window(1, 0, 1)])
        [Window(size=10, step0=0, n=3)]
    """
    found: list[Window] = []
    for root in _forest(sorted(windows, key=lambda window: (window.step0, -window.size))):
        found.extend(_leaves(root))
    return found


def _leaves(node: _Node) -> Iterator[Window]:
    if node.children and node.answers(node.window.step0, node.window.end):
        for child in node.children:
            yield from _leaves(child)
    else:
        yield node.window


def _forest(ordered: Iterable[Window]) -> list[_Node]:
    roots: list[_Node] = []
    path: list[_Node] = []
    for window in ordered:
        while path and not (
            path[-1].window.size > window.size and path[-1].window.end >= window.end
        ):
            path.pop()
        node = _Node(window, [])
        (path[-1].children if path else roots).append(node)
        path.append(node)
    return roots


def _pick(node: _Node, start: int, stop: int, end: int) -> Iterator[Window]:
    window = node.window
    if window.end <= start or window.step0 >= stop:
        return
    inside = start <= window.step0 and min(window.end, end) <= stop
    if not inside and node.children and node.answers(start, stop):
        for child in node.children:
            yield from _pick(child, start, stop, end)
    else:
        yield window
