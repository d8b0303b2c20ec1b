"""Curves that several experiments draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from gainstage.render import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    axes: tuple[str, str],
    log: bool = False,
) -> Figure:
    """Several curves in one picture.

    Args:
        series: x and y of each, by name.
        title: above it.
        axes: what x and y are.
        log: whether y is drawn by its logarithm.
    """
    figure = canvas.new_figure(6.5, 4.0)
    plot = figure.add_subplot(title=title, xlabel=axes[0], ylabel=axes[1])
    for index, (name, (x, y)) in enumerate(series.items()):
        color = canvas.COLORS[index % len(canvas.COLORS)]
        # one point has no line
        plot.plot(x, y, "o" if len(y) == 1 else "-", label=name, color=color, lw=1.2)
    if log:
        plot.set_yscale("log")
    plot.grid(alpha=0.3)
    plot.legend()
    return figure


def distributions(
    rows: Mapping[str, Sequence[Tensor]], columns: Sequence[str], *, title: str
) -> Figure:
    """A grid of densities, one panel a layer: variance printed, a single value as a line.

    Args:
        rows: tensors of each layer, by what they are.
        columns: names of the layers.
        title: above it.
    """
    figure = canvas.new_figure(2.3 * len(columns), 1.9 * len(rows) + 0.4)
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    for index, (name, tensors) in enumerate(rows.items()):
        for plot, tensor, column in zip(panels[index], tensors, columns, strict=True):
            values = tensor.flatten().double().numpy()
            spread = float(values.std())
            color = canvas.COLORS[index % len(canvas.COLORS)]
            if spread > 1e-9 * max(abs(float(values.mean())), 1e-30):
                middle = float(values.mean())
                span = (middle - 4 * spread, middle + 4 * spread)
                heights, edges = np.histogram(values, 60, span, density=True)
                plot.fill_between(edges[:-1], heights, step="post", color=color, alpha=0.3, lw=0)
                kernel = np.exp(-(np.linspace(-2, 2, 9) ** 2) / 2)
                smooth = np.convolve(heights, kernel / kernel.sum(), "same")
                plot.plot((edges[1:] + edges[:-1]) / 2, smooth, color=color, lw=1.2)
            else:
                plot.axvline(float(values.mean()), color=color)
            plot.set_title(f"{column}: {spread**2:.3g}", fontsize=8)
            plot.set_yticks([])
            plot.tick_params(labelsize=7)
            plot.locator_params(axis="x", nbins=3)
        panels[index][0].set_ylabel(name, fontsize=9)
    figure.suptitle(f"{title}: distributions, and their variances", fontsize=10)
    return figure


def map_of(values: Tensor, title: str, axes: tuple[str, str]) -> Figure:
    """A map of a matrix, light for 1 and dark for 0.

    Args:
        values: [rows, columns].
        title: above it.
        axes: what columns and rows are.
    """
    figure = canvas.new_figure(6.5, 6.5 * min(values.shape[0] / values.shape[1], 1.2) + 0.8)
    plot = figure.add_subplot(title=title, xlabel=axes[0], ylabel=axes[1])
    plot.imshow(values.numpy(), cmap="gray", interpolation="nearest", aspect="auto", vmin=0, vmax=1)
    return figure
