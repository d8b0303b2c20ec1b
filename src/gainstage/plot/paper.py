"""Matplotlib, loaded when something is drawn, and the one style of these figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import MissingExtraError, UsageError
from gainstage.recording import Recording
from gainstage.render.words import clean, shorten
from gainstage.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORWARD: Final = "#0072b2"
BACKWARD: Final = "#a8507f"
FAULT: Final = "#c44f00"
GOOD: Final = "#00805d"
MUTED: Final = "#5d636b"
GRID: Final = "#e4e1d9"
DIVERGING: Final = ("#0072b2", "#8cc0de", "#f1efe9", "#efb184", "#d55e00")
"""The page's colours by daylight: told apart by everyone (after Okabe and Ito)."""


def sheet(width: float, height: float) -> Figure:
    """An empty figure.

    Args:
        width: inches.
        height: inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        msg = "Figures need matplotlib: run `pip install 'gainstage[lab]'`."
        raise MissingExtraError(msg) from error
    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def axes_on(figure: Figure, title: str, x: str, y: str, *, place: tuple[int, int, int]) -> Axes:
    """Axes in the common style: no box, a quiet grid behind the data."""
    axes = figure.add_subplot(*place)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x, color=MUTED, fontsize=9)
    axes.set_ylabel(y, color=MUTED, fontsize=9)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    axes.spines[:].set_visible(False)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def recording_of(run: Run | Recording) -> Recording:
    """The recording of a run as it is now, or the one that was given."""
    if isinstance(run, Run):
        run.recording.refresh()
        return run.recording
    if not isinstance(run, Recording):
        msg = f"A figure is of a run, gs.open({run!r}), or of its recording."
        raise UsageError(msg)
    return run


def label(name: str, most: int = 32) -> str:
    """A name of a stranger's as text: one line, no mathematics."""
    return shorten(clean(name).strip(), most).replace("$", r"\$")


def known(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Chart data as floats: NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def depth_colours(count: int) -> list[tuple[float, float, float, float]]:
    """First layer to last, without the ends that vanish on white."""
    from matplotlib import colormaps  # noqa: PLC0415  # an optional dependency

    shades = colormaps["viridis"](np.linspace(0.05, 0.85, max(count, 1)))
    return [tuple(map(float, shade)) for shade in shades]  # type: ignore[misc]


def nothing(axes: Axes, text: str) -> None:
    """Say in the middle of empty axes why they are empty."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def name_rows(axes: Axes, names: Sequence[str], most: int = 42) -> None:
    """Names at the rows 0, 1, 2, ... from the top down, some left out where there are many."""
    every = max(1, -(-len(names) // most))
    rows = range(0, len(names), every)
    axes.set_yticks(list(rows), [label(names[row]) for row in rows], family="monospace")
    axes.set_ylim(len(names) - 0.4, -0.6)
