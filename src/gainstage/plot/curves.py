"""What is drawn over the steps: the loss, the paces of the weights, two losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gainstage.plot import paper
from gainstage.plot.paper import Recorded
from gainstage.recording import Recording
from gainstage.render import canvas
from gainstage.views import loss_chart, update_chart
from gainstage.views.compare import compare_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss(run: Recorded | Recording, *, log: bool = False) -> Figure:
    """The loss with what chance would give and what happened on the way.

    Args:
        run: which.
        log: whether the loss is drawn by its logarithm.
    """
    chart = loss_chart(paper.recording_of(run))
    figure = canvas.new_figure(7.0, 3.2)
    axes = canvas.new_axes(figure, "Loss", "step", "")
    measured = paper.known(chart.loss)
    if not np.isfinite(measured).any():
        paper.nothing(axes, "No loss was measured.")
        return figure
    if chart.low:
        low, high = paper.known(chart.low), paper.known(chart.high)
        axes.fill_between(chart.steps, low, high, color=canvas.FORWARD, alpha=0.15, lw=0)
    axes.plot(chart.steps, measured, color=canvas.FORWARD, alpha=0.45, lw=0.8)
    axes.plot(chart.steps, paper.known(chart.smooth), color=canvas.FORWARD, lw=1.8)
    if chart.chance is not None:
        axes.axhline(chart.chance, color=canvas.MUTED, lw=1, ls="--")
        place = axes.get_yaxis_transform()
        axes.text(
            1, chart.chance, "chance", transform=place, ha="right", va="bottom", fontsize=8,
            color=canvas.MUTED,
        )  # fmt: skip
    for event in chart.events[:60]:
        axes.axvline(event.step, color=canvas.FAULT, lw=0.8, ls=":")
    if log:
        axes.set_yscale("log")
    return figure


def updates(run: Recorded | Recording) -> Figure:
    """How far one step moves each weight, relative to the weight, first layer to last.

    Args:
        run: which.
    """
    chart = update_chart(paper.recording_of(run))
    figure = canvas.new_figure(7.0, 3.4)
    axes = canvas.new_axes(
        figure, "Update : data", "step", "log₁₀ update / weight"
    )  # fmt: skip
    if not chart.paces:
        paper.nothing(axes, "No weight's update was measured.")
        return figure
    axes.axhspan(chart.guide - 1, chart.guide + 1, color=canvas.GOOD, alpha=0.08, lw=0)
    axes.axhline(chart.guide, color=canvas.GOOD, lw=1, ls="--")
    last = len(chart.paces) - 1
    for i, (pace, colour) in enumerate(
        zip(chart.paces, paper.depth_colours(len(chart.paces)), strict=True)
    ):
        named = paper.label(pace.name) if i in {0, last} else None  # the others lie between
        axes.plot(chart.steps, paper.known(pace.ratio), color=colour, lw=1.1, label=named)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    return figure


def compare(first: Recorded | Recording, second: Recorded | Recording) -> Figure:
    """The losses of two runs, and the second minus the first.

    Args:
        first: what the other is held against.
        second: the other.
    """
    told = compare_runs(paper.recording_of(first), paper.recording_of(second))
    figure = canvas.new_figure(7.0, 4.4)
    above = canvas.new_axes(figure, "Losses", "", "", place=(2, 1, 1))
    below = canvas.new_axes(figure, "Second minus first", "step", "", place=(2, 1, 2))
    if not told.steps:
        paper.nothing(above, "Neither run has a step.")
        paper.nothing(below, "")
        return figure
    colours = canvas.FORWARD, canvas.BACKWARD
    for name, values, colour in zip(told.names, told.losses, colours, strict=True):
        rows = np.isfinite(paper.known(values))
        steps = np.array(told.steps)[rows]
        above.plot(steps, paper.known(values)[rows], color=colour, lw=1.5, label=paper.label(name))
    above.legend(frameon=False, fontsize=8)
    difference = paper.known(told.difference)
    below.axhline(0, color=canvas.MUTED, lw=0.8)
    below.plot(told.steps, difference, color=canvas.MUTED, lw=1.2)
    below.fill_between(told.steps, difference, 0, color=canvas.BACKWARD, alpha=0.15, lw=0)
    below.set_xlim(above.get_xlim())
    return figure
