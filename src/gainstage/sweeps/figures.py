"""A sweep as pictures: losses over the axes, and curves with the band of their seeds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from gainstage.plot.paper import depth_colours, label, nothing
from gainstage.render.canvas import FORWARD, GOOD, MUTED, new_axes, new_figure
from gainstage.sweeps.ranges import RangeTest
from gainstage.sweeps.results import Results, Row
from gainstage.sweeps.space import Axis, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVES: Final = 5
"""Combinations whose curves are drawn: the best ones."""


def figure_sweep(sweep: Results) -> Figure:
    """Losses over the axes on the left, curves of the best on the right.

    Two axes are a heat map, one is a line with the interval of the mean; of more, the first two
    are shown, each cell being the best over the others. A cell in brackets was ended early.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(12.0, 4.6)
    if len(sweep.axes) == 1:
        axes = new_axes(figure, "Loss", sweep.axes[0].name, "late loss", place=(1, 2, 1))
        _line(axes, sweep)
    else:
        down, across = sorted(sweep.axes[:2], key=lambda one: (one.is_logarithmic, len(one.values)))
        axes = new_axes(figure, "Late loss", across.name, down.name, place=(1, 2, 1))
        _map(axes, sweep, down, across)
    _curves(new_axes(figure, "Curves of the best", "step", "loss", place=(1, 2, 2)), sweep)
    return figure


def _line(axes: Axes, sweep: Results) -> None:
    (axis,) = sweep.axes
    rows = [sweep.row(**{axis.name: value}) for value in axis.values]
    sound = [row for row in rows if math.isfinite(row.mean)]
    if not sound:
        nothing(axes, "no training came to an end")
        return
    places = {value: i for i, value in enumerate(axis.values)}
    values = [row.point[0][1] for row in sound]
    x = np.array([value if axis.is_logarithmic else places[value] for value in values], dtype=float)
    mean = np.array([row.mean for row in sound])
    ends = [row.interval if math.isfinite(row.spread) else (row.mean, row.mean) for row in sound]
    low, high = np.array(ends).T
    axes.fill_between(x, low, high, color=FORWARD, alpha=0.2, linewidth=0)
    axes.plot(x, mean, "o-", color=FORWARD, markersize=4)
    for row, at in zip(sound, x, strict=True):
        axes.plot([at] * len(row.losses), row.losses, ".", color=MUTED, markersize=3)
    if axis.is_logarithmic:
        axes.set_xscale("log")
        axes.minorticks_off()
    else:
        axes.set_xticks(range(len(axis.values)), [label(told(v)) for v in axis.values])
    if mean.min() > 0 and mean.max() > 30 * mean.min():
        axes.set_yscale("log")
        axes.minorticks_off()


def _map(axes: Axes, sweep: Results, down: Axis, across: Axis) -> None:
    """Colours follow the rank of a loss, so that one that is far off hides no other."""
    best: dict[tuple[object, object], Row] = {}
    for row in sweep.rows:
        at = dict(row.point)
        key = at[down.name], at[across.name]
        held = best.get(key)
        if held is None or (-row.steps, row.mean) < (-held.steps, held.mean):
            best[key] = row
    losses = np.array(
        [[best[d, a].mean for a in across.values] for d in down.values], dtype=np.float64
    )
    order = np.full(losses.shape, np.nan)
    sound = np.isfinite(losses)
    order[sound] = np.argsort(np.argsort(losses[sound]))
    axes.set_facecolor("#d8d4cb")
    axes.imshow(np.ma.masked_invalid(order), cmap="viridis_r", aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(across.values)), [label(told(v)) for v in across.values])
    axes.set_yticks(range(len(down.values)), [label(told(v)) for v in down.values])
    if len(across.values) > 6:
        axes.tick_params(axis="x", labelrotation=45)
    middle = np.nanmedian(order) if sound.any() else 0.0
    for i, d in enumerate(down.values):
        for j, a in enumerate(across.values):
            row = best[d, a]
            text = f"{losses[i, j]:.3g}" if sound[i, j] else "failed"
            text = f"({text})" if row.steps < sweep.steps else text
            dark = sound[i, j] and order[i, j] > middle  # the best are light
            colour = "white" if dark else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)


def _curves(axes: Axes, sweep: Results) -> None:
    drawn = [row for row in sweep.rows if math.isfinite(row.mean) and row.trials[0].curve]
    drawn = sorted(drawn, key=lambda row: (-row.steps, row.mean))[:_CURVES]
    if not drawn:
        nothing(axes, "no curves were kept")
        return
    for row, colour in zip(drawn, depth_colours(len(drawn)), strict=True):
        steps = np.array([step for step, _ in row.trials[0].curve])
        curves = np.array(
            [[loss for _, loss in t.curve] for t in row.trials if len(t.curve) == len(steps)]
        )
        if len(curves) > 1:
            band = curves.min(axis=0), curves.max(axis=0)
            axes.fill_between(steps, *band, color=colour, alpha=0.18, linewidth=0)
        axes.plot(steps, curves.mean(axis=0), color=colour, label=label(str(row)), linewidth=1.6)
    axes.legend(fontsize=8, frameon=False)
    drawn_losses = np.concatenate([np.asarray(line.get_ydata()) for line in axes.lines])
    if drawn_losses.min() > 0 and drawn_losses.max() > 30 * drawn_losses.min():
        axes.set_yscale("log")
        axes.minorticks_off()


def figure_range(test: RangeTest) -> Figure:
    """The losses of all seeds over the rate, their smoothed course, and the band.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(7.2, 4.2)
    title = "Learning-rate range test" + ("" if test.band else ": no signal")
    axes = new_axes(figure, title, "learning rate", "loss", place=(1, 1, 1))
    axes.set_xscale("log")
    axes.minorticks_off()
    for losses, smooth in zip(test.losses, test.smooth, strict=True):
        axes.plot(test.rates, losses, color=MUTED, alpha=0.25, linewidth=0.7)
        axes.plot(test.rates, smooth, color=FORWARD, linewidth=1.3)
    top = float(np.nanmax(test.smooth))
    low = float(np.nanmin(test.smooth))
    axes.set_ylim(low - 0.1 * (top - low), top + 0.3 * (top - low))
    if test.band is not None:
        axes.axvspan(*test.band, color=GOOD, alpha=0.15, linewidth=0, label="band")
        axes.legend(fontsize=8, frameon=False, loc="upper left")
    return figure
