"""Histogram ridges over time: how the values of one site spread from the first step to the last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gainstage.recording import Recording, Window
from gainstage.records import Kind, Site
from gainstage.sketch import Histogram
from gainstage.store.windows import finest
from gainstage.views.ridge import RIDGE_KINDS, Ridge, holds_any, on_one_axis
from gainstage.views.view import Numbers, by_name, view

_MOST_RIDGES = 14
_MOST_SITES = 40
_MOST_NAMES = 2_000


@dataclass(frozen=True, slots=True)
class SiteHistory:
    """The ridges of one site on a common axis.

    Attributes:
        kind: of the site.
        title: of the kind, for people.
        name: of the site.
        first: first step of each ridge.
        last: last step of each ridge.
        x: middle of each bin on the signed-log axis, 0 in the middle.
        ticks: positions of the labels.
        labels: the values there.
        ridges: first steps first.
    """

    kind: Kind
    title: str
    name: str
    first: tuple[int, ...]
    last: tuple[int, ...]
    x: Numbers
    ticks: Numbers
    labels: tuple[str, ...]
    ridges: tuple[Ridge, ...]


@dataclass(frozen=True, slots=True)
class Histories:
    """The spread of some sites over time.

    Attributes:
        choices: kind, title and names of the sites that can be asked for.
        histories: of the site that was asked for; of sites picked over depth, if none was.
    """

    choices: tuple[tuple[Kind, str, tuple[str, ...]], ...]
    histories: tuple[SiteHistory, ...]


@view("history")
def histories(
    recording: Recording,
    *,
    start: int = 0,
    stop: int | None = None,
    only: str | None = None,
    site: str = "",
) -> Histories:
    """Ridges over time, of one site or of some that are picked over depth.

    Args:
        recording: the run.
        start: first step.
        stop: one past the last step; None for the end of the run.
        only: the kind of the one site that is wanted; the first that there is if it is unknown;
            None for a few sites of each kind.
        site: its name; the first of that kind if it is unknown.

    Example:
        >>> from gainstage.recording import MemoryRecording
        >>> fc = Site(0, "fc", "output", "fc", "Linear", 0)
        >>> spread = {0: Histogram.of(np.linspace(-1, 1, 9, dtype=np.float32))}
        >>> run = MemoryRecording([fc], {(0, "rms"): [0.6, 0.6]}, histograms=spread)
        >>> (one,) = histories(run).histories
        >>> one.name, one.first, one.last
        ('fc', (0,), (1,))
    """
    there = [(kind, title, by_name(recording, kind)) for kind, title in RIDGE_KINDS]
    there = [part for part in there if part[2]]
    if only is not None:
        _, title, sites = next((p for p in there if p[0] == only), there[0] if there else _NONE)
        where = sites.get(site) or next(iter(sites.values()), None)
        made = [_of_site(recording, title, where, start, stop)] if where else []
        names = [(k, t, tuple(found)[:_MOST_NAMES]) for k, t, found in there]
        return Histories(tuple(names), tuple(one for one in made if one))
    made = [
        _of_site(recording, title, where, start, stop)
        for _, title, sites in there
        for where in _picked(list(sites.values()), _MOST_SITES // len(there))
    ]
    kept = tuple(one for one in made if one)
    choices = [(k, t, tuple(one.name for one in kept if one.kind == k)) for k, t, _ in there]
    return Histories(tuple(choice for choice in choices if choice[2]), kept)


_NONE: tuple[Kind, str, dict[str, Site]] = ("output", "", {})


def _picked(sites: list[Site], most: int) -> list[Site]:
    """Evenly over depth, first and last among them."""
    chosen = np.unique(np.linspace(0, len(sites) - 1, min(most, len(sites))).round().astype(int))
    return [sites[i] for i in chosen]


def _of_site(
    recording: Recording, title: str, site: Site, start: int, stop: int | None
) -> SiteHistory | None:
    """The ridges of a site; None if nothing finite was counted in these steps."""
    stored = recording.windows(site)
    groups = _grouped(
        w for w in finest(stored) if w.end > start and (stop is None or w.step0 < stop)
    )
    merged = [(group, sum((stored[w] for w in group), Histogram.empty())) for group in groups]
    found = [(group, histogram) for group, histogram in merged if holds_any(histogram)]
    if not found:
        return None
    axis, ridges = on_one_axis([(site.name, histogram) for _, histogram in found])
    last = int(recording.ends[-1]) if len(recording.steps) else 0
    return SiteHistory(
        kind=site.kind,
        title=title,
        name=site.name,
        first=tuple(group[0].step0 for group, _ in found),
        last=tuple(max(group[0].step0, min(group[-1].end - 1, last)) for group, _ in found),
        x=axis.x,
        ticks=axis.ticks,
        labels=axis.labels,
        ridges=ridges,
    )


def _grouped(windows: Iterable[Window]) -> list[list[Window]]:
    """Consecutive windows gathered into few groups of about equal spans of steps."""
    ordered = list(windows)
    if not ordered:
        return []
    first = ordered[0].step0
    width = -(-(ordered[-1].end - first) // _MOST_RIDGES)
    groups: dict[int, list[Window]] = {}
    for window in ordered:
        groups.setdefault((window.step0 - first) // width, []).append(window)
    return list(groups.values())
