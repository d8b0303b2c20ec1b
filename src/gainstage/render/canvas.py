"""Matplotlib, loaded when something is drawn, and how all our figures look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gainstage.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS: Final = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, one a series: told apart by everyone."""

FORWARD: Final = "#0072b2"
BACKWARD: Final = "#a8507f"
FAULT: Final = "#c44f00"
GOOD: Final = "#00805d"
MUTED: Final = "#5d636b"
GRID: Final = "#e4e1d9"
DIVERGING: Final = ("#0072b2", "#8cc0de", "#f1efe9", "#efb184", "#d55e00")
"""The page's colours by daylight, after Okabe and Ito."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that no window and no global state knows of.

    Args:
        width: inches.
        height: inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from gainstage.render.figure import Figure  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        msg = "Figures need matplotlib: run `pip install 'gainstage[lab]'`."
        raise MissingExtraError(msg) from error
    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def new_axes(
    figure: Figure, title: str, x: str, y: str, *, place: tuple[int, int, int] = (1, 1, 1)
) -> Axes:
    """Axes in the common style: no box, a quiet grid behind the data.

    Args:
        figure: that they are on.
        title: above them, on the left.
        x: what runs across.
        y: what runs up.
        place: rows, columns, and which of them.
    """
    axes = figure.add_subplot(*place)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x, color=MUTED, fontsize=9)
    axes.set_ylabel(y, color=MUTED, fontsize=9)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    axes.spines[:].set_visible(False)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes
