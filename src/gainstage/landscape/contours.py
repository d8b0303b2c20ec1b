"""Matplotlib, loaded when something is drawn, and how our figures look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet
    from matplotlib.figure import Figure

COLORS: Final = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's: told apart by everyone."""

LEVELS: Final = 20


def new_figure(width: float = 6.0, height: float = 5.0) -> Figure:
    """An empty figure that no window and no global state knows of.

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
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def levels(values: NDArray[Any]) -> NDArray[np.float64]:
    """Heights of contours: some evenly spaced, and some with equal areas between them.

    Losses span decades: even heights alone would leave all that matters in one band.

    Returns:
        At least two, rising, from the least finite value to the greatest.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if not finite.size or high <= low:
        return np.array([low, low + 1.0])
    areas = np.quantile(finite, np.linspace(0, 1, LEVELS)[1:-1])
    heights = np.unique([*areas, *np.linspace(low, high, LEVELS // 2)[1:-1]])
    kept = [low]
    for height in heights:
        if min(height - kept[-1], high - height) > 2e-4 * (high - low):
            kept.append(height)
    return np.array([*kept, high])


def contours(axes: Axes, x: NDArray[Any], y: NDArray[Any], values: NDArray[Any]) -> QuadContourSet:
    """Draw a map of values [y, x]; what is not finite is hatched, not hidden."""
    axes.patch.set(facecolor="#eeeeee", edgecolor="#999999", hatch="///")
    masked = np.ma.masked_invalid(values)
    heights = levels(values)
    # a shade a band, none so dark that a trajectory is lost on it
    shades = [str(round(shade, 3)) for shade in np.linspace(0.45, 1.0, len(heights) - 1)]
    bands = axes.contourf(x, y, masked, levels=heights, colors=shades)
    axes.contour(x, y, masked, levels=heights[1:-1], colors="#555555", linewidths=0.3)
    if not np.isfinite(values).all():
        axes.text(0.99, 0.01, "hatched: not finite", transform=axes.transAxes, ha="right", size=8)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    return bands
