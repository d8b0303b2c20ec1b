"""Maps as bands of heights, and their colour bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet

LEVELS: Final = 20


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


def colour_bar(axes: Axes, bands: QuadContourSet, label: str) -> None:
    """Beside a map, what its shades mean; what is nothing beside the whole range reads 0.

    Args:
        axes: of the map.
        bands: as :func:`contours` gave them.
        label: what the heights are.
    """
    nothing = 1e-6 * float(np.ptp(np.asarray(bands.levels)))

    def told(height: float, _: int) -> str:
        return f"{0.0 if abs(height) < nothing else height:.3g}"

    axes.get_figure().colorbar(bands, ax=axes, format=told, label=label)  # type: ignore[union-attr]
