"""Curves that several experiments draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gainstage.landscape import canvas

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
        plot.plot(x, y, label=name, color=canvas.COLORS[index % len(canvas.COLORS)], lw=1.2)
    if log:
        plot.set_yscale("log")
    plot.grid(alpha=0.3)
    plot.legend()
    return figure
