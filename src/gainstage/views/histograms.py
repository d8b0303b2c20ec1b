"""Histogram ridges over depth: how the values of every stage are spread, on a signed-log axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gainstage.recording import Recording
from gainstage.records import Kind
from gainstage.views.ridge import RIDGE_KINDS, Ridge, holds_any, on_one_axis
from gainstage.views.view import Numbers, by_name, view

_MOST_RIDGES = 120


@dataclass(frozen=True, slots=True)
class RidgeGroup:
    """All ridges of one kind of site on a common axis.

    Attributes:
        kind: of the sites.
        title: for people.
        x: middle of each bin on the signed-log axis, 0 in the middle.
        ticks: positions of the labels.
        labels: the values there.
        ridges: in forward order.
        left_out: number of sites that were left out to keep the chart readable.
    """

    kind: Kind
    title: str
    x: Numbers
    ticks: Numbers
    labels: tuple[str, ...]
    ridges: tuple[Ridge, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Ridges:
    """The ridge groups that have a ridge.

    Attributes:
        choices: kind and title of each group that there may be.
        groups: all of them, or the one that was asked for.
    """

    choices: tuple[tuple[str, str], ...]
    groups: tuple[RidgeGroup, ...]


@view("histograms")
def ridges(
    recording: Recording, *, start: int = 0, stop: int | None = None, only: str | None = None
) -> Ridges:
    """Ridges over depth for every kind of site with histograms.

    Args:
        recording: the run.
        start: first step.
        stop: one past the last step; None for the end of the run.
        only: the one kind that is wanted; the first that there is if it is unknown; None for all.
    """
    there = [(kind, title) for kind, title in RIDGE_KINDS if recording.of_kind(kind)]
    asked = [pair for pair in there if pair[0] == only] or there[:1]
    wanted = there if only is None else asked
    made = (_group(recording, kind, title, start, stop) for kind, title in wanted)
    groups = tuple(group for group in made if group is not None)
    known = [(group.kind, group.title) for group in groups]
    return Ridges(tuple(known if only is None else there), groups)


def _group(
    recording: Recording, kind: Kind, title: str, start: int, stop: int | None
) -> RidgeGroup | None:
    sites = by_name(recording, kind)
    names = list(sites)
    if len(names) > _MOST_RIDGES:
        picked = np.linspace(0, len(names) - 1, _MOST_RIDGES).round().astype(int)
        names = [names[i] for i in picked]
    read = {name: recording.histogram(sites[name], start, stop) for name in names}
    found = [(name, histogram) for name, histogram in read.items() if holds_any(histogram)]
    if not found:
        return None
    axis, made = on_one_axis(found)
    return RidgeGroup(
        kind=kind,
        title=title,
        x=axis.x,
        ticks=axis.ticks,
        labels=axis.labels,
        ridges=made,
        left_out=len(sites) - len(names),
    )
