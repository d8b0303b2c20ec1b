"""Histograms over depth as ridges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from gainstage.errors import UnknownNameError
from gainstage.plot import paper
from gainstage.plot.paper import Recorded
from gainstage.recording import Recording
from gainstage.render import canvas
from gainstage.views import ridges

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gainstage.views.histograms import RidgeGroup

_RISE = 1.7  # rows that the highest ridge may cover


def histograms(run: Recorded | Recording, kind: str = "output") -> Figure:
    """How the values of each stage are spread over the run, first stage on top.

    Negative to the left, positive to the right, both on a log axis.

    Args:
        run: which.
        kind: of the sites: ``"output"``, ``"output_grad"``, ``"weight"``, ``"grad"`` or
            ``"update"``.

    Raises:
        UnknownNameError: no histogram of that kind was kept; the message lists those there are.
    """
    group = _chosen(paper.recording_of(run), kind)
    count = len(group.ridges)
    figure = canvas.new_figure(7.0, max(2.4, 1.3 + 0.26 * count))
    axes = canvas.new_axes(figure, group.title, "", "")
    x = paper.known(group.x)
    for row, (ridge, colour) in enumerate(
        zip(group.ridges, paper.depth_colours(count), strict=True)
    ):
        density = paper.known(ridge.density)
        holes = np.flatnonzero(np.isnan(density))
        density[holes] = (density[holes - 1] + density[(holes + 1) % len(density)]) / 2
        top = row - _RISE * density / max(float(density.max()), 1e-30)
        axes.fill_between(x, top, row, color=colour, alpha=0.5, lw=0, zorder=row + 2)
        axes.plot(x, top, color=colour, lw=1.1, zorder=row + 2)
    axes.set_xticks(paper.known(group.ticks), [_power(text) for text in group.labels])
    axes.grid(visible=False, axis="y")
    paper.name_rows(axes, [ridge.name for ridge in group.ridges])
    axes.set_ylim(count - 0.4, -_RISE - 0.2)
    return figure


def _chosen(recording: Recording, kind: str) -> RidgeGroup:
    groups = ridges(recording).groups
    for group in groups:
        if group.kind == kind:
            return group
    there = ", ".join(repr(group.kind) for group in groups) or "none"
    msg = f"No histogram of kind {kind!r} was kept. There are: {there}."
    raise UnknownNameError(msg)


def _power(text: str) -> str:
    r"""``"-1e-3"`` as people write it.

    Example:
        >>> _power("-1e-3"), _power("1e0"), _power("0")
        ('$-10^{-3}$', '$1$', '0')
    """
    found = re.fullmatch(r"(-?)1e(-?\d+)", text)
    if found is None:
        return text
    size = "1" if found[2] == "0" else f"10^{{{found[2]}}}"
    return f"${found[1]}{size}$"
