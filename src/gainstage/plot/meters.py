"""How loud every stage is: the level diagram, and a quantity of all layers over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import UnknownNameError
from gainstage.plot import paper
from gainstage.plot.paper import Recorded
from gainstage.recording import Recording
from gainstage.render import canvas
from gainstage.views import HeatMaps, heat_maps, level_diagram
from gainstage.views.heatmap import HeatMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from gainstage.views.levels import LevelDiagram, Meter

_ROW = 0.2


def levels(run: Recorded | Recording, *, step: int | None = None) -> Figure:
    """The level of every stage, forward and backward, first stage on top.

    The pale band is the range over the run; a diamond is more than 40 dB from its reference:
    0 dB forward, the level at which the gradient enters backward.

    Args:
        run: which.
        step: read at the recorded step nearest to this one; None for the median over the run.
    """
    diagram = level_diagram(paper.recording_of(run), step=step)
    figure = canvas.new_figure(8.0, max(2.2, 1.2 + _ROW * len(diagram.stages)))
    forward = canvas.new_axes(figure, "Forward", "dB", "", place=(1, 2, 1))
    backward = canvas.new_axes(figure, "Backward", "dB", "", place=(1, 2, 2))
    if not diagram.stages:
        paper.nothing(forward, "No stage was measured.")
        paper.nothing(backward, "")
        return figure
    ways = [stage.forward for stage in diagram.stages], [stage.backward for stage in diagram.stages]
    _meters(forward, ways[0], 0.0, diagram, canvas.FORWARD)
    known = [meter.level for meter in ways[1] if meter.level is not None]
    _meters(backward, ways[1], known[-1] if known else 0.0, diagram, canvas.BACKWARD)
    paper.name_rows(forward, [stage.name for stage in diagram.stages])
    backward.set_ylim(forward.get_ylim())
    backward.set_yticks(forward.get_yticks(), [""] * len(forward.get_yticks()))
    return figure


def _meters(
    axes: Axes, meters: list[Meter], reference: float, diagram: LevelDiagram, colour: str
) -> None:
    rows = np.arange(len(meters))
    level = paper.known([meter.level for meter in meters])
    low, high = (paper.known([getattr(m, end) for m in meters]) for end in ("low", "high"))
    hot = np.abs(level - reference) > diagram.limit
    colours = np.where(hot, canvas.FAULT, colour)
    axes.use_sticky_edges = False
    axes.axvline(reference, color=canvas.MUTED, lw=1)
    axes.barh(rows, high - low, left=low, height=0.62, color=colour, alpha=0.2, lw=0)
    axes.hlines(rows, reference, level, color=list(colours), lw=1.6)
    for outside, marker, size in ((False, "s", 22), (True, "D", 26)):
        some = (hot == outside) & np.isfinite(level)
        axes.scatter(level[some], rows[some], marker=marker, s=size, c=colours[some], zorder=3)
    for row, meter in enumerate(meters):
        if meter.silent:
            axes.text(
                reference, row, "silent ", ha="right", va="center", fontsize=7, color=canvas.FAULT
            )


def heatmap(run: Recorded | Recording, quantity: str = "output") -> Figure:
    """One quantity of every layer over the steps, first layer on top.

    Args:
        run: which.
        quantity: key of the map: ``"output"``, ``"output_grad"``, ``"update_ratio"``,
            ``"weight"``, ``"grad"``, ``"dead_units"``, ``"saturated"``, ``"non_finite"`` or
            ``"non_finite_grad"``.

    Raises:
        UnknownNameError: there is no such map of this run; the message lists those there are.
    """
    told = heat_maps(paper.recording_of(run))
    chosen = _chosen(told, quantity)
    figure = canvas.new_figure(8.0, max(2.2, 1.2 + 0.15 * len(chosen.layers)))
    title = f"{chosen.title} ({chosen.unit})"
    axes = canvas.new_axes(figure, title, "step", "")
    axes.grid(visible=False)
    cells = np.array([paper.known(row) for row in chosen.cells])
    edges = np.append(told.first, told.last[-1] + 1)
    colours, low, high = _colours(chosen, cells)
    rows = np.arange(len(chosen.layers) + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, cells, cmap=colours, vmin=low, vmax=high)
    for row, spans in enumerate(chosen.silent):
        for first, last in spans:
            axes.fill_between(edges[[first, last]], row - 0.5, row + 0.5, color="#33363b", lw=0)
    paper.name_rows(axes, chosen.layers)
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30)
    bar.ax.tick_params(labelsize=8, length=0, colors=canvas.MUTED)
    bar.outline.set_visible(False)
    return figure


def _chosen(told: HeatMaps, quantity: str) -> HeatMap:
    for one in told.maps:
        if one.key == quantity:
            return one
    there = ", ".join(repr(one.key) for one in told.maps) or "none"
    msg = f"There is no heat map {quantity!r} of this run. There are: {there}."
    raise UnknownNameError(msg)


def _colours(chosen: HeatMap, cells: NDArray[np.float64]) -> tuple[Colormap | str, float, float]:
    """Colour map and limits, as the page has them."""
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415  # optional dependency

    known = cells[np.isfinite(cells)]
    low, high = np.percentile(known, [1, 99]) if len(known) else (0.0, 1.0)
    if chosen.scale == "diverging":
        least = 40.0 if chosen.unit == "dB" else 2.0
        reach = max(abs(low - chosen.centre), abs(high - chosen.centre), least)
        colours = LinearSegmentedColormap.from_list("levels", list(canvas.DIVERGING))
        return colours, chosen.centre - reach, chosen.centre + reach
    if chosen.unit == "share":
        return "cividis", 0.0, 1.0
    return "cividis", low, high if high > low else low + 1.0
