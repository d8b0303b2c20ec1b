"""Static pictures and animations of surfaces and of races on them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gainstage.landscape.contours import colour_bar, contours
from gainstage.landscape.lossmap import LossMap
from gainstage.landscape.race import Race
from gainstage.landscape.surface import SURFACES, Surface
from gainstage.render import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure_map(what: str | Surface | Race, *, size: int = 201, arrows: int = 0) -> Figure:
    """A surface from above, with the trajectories of a race on it.

    Args:
        what: a surface, by name or itself, or a race.
        size: points of the map along each axis.
        arrows: arrows along each axis that show the direction of steepest descent.

    Returns:
        A matplotlib figure; ``figure.savefig("map.png")`` keeps it.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    surface, race = _sorted_out(what)
    figure = canvas.new_figure(6.0, 5.0)
    axes = figure.add_subplot()
    x, y, values = surface.map(size)
    bands = contours(axes, x.numpy(), y.numpy(), values.numpy())
    colour_bar(axes, bands, "value")
    finite = [point for point in surface.optima if np.isfinite(point).all()]
    if finite:
        axes.plot(*np.transpose(finite), "*", color="white", markeredgecolor="black", markersize=12)
    if arrows:
        _draw_descent(axes, surface, arrows)
    if race is not None:
        for index, name in enumerate(race.names):
            color = canvas.COLORS[index % len(canvas.COLORS)]
            _draw_paths(axes, race.trajectories[index].numpy(), color, name)
        axes.legend(loc="best", framealpha=0.9)
    axes.set(xlabel=surface.axes[0], ylabel=surface.axes[1], title=surface.name)
    return figure


def figure_3d(what: str | Surface | Race, *, size: int = 101) -> Figure:
    """A surface in three dimensions, with the trajectories of a race above it.

    Args:
        what: a surface, by name or itself, or a race.
        size: points of the map along each axis.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    surface, race = _sorted_out(what)
    figure = canvas.new_figure(7.0, 5.5)
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    x, y, values = surface.map(size)
    grid = np.meshgrid(x.numpy(), y.numpy())
    axes.plot_surface(*grid, values.numpy(), cmap="viridis", alpha=0.8, linewidth=0, zorder=1)
    if race is not None:
        for index, name in enumerate(race.names):
            color = canvas.COLORS[index % len(canvas.COLORS)]
            heights = race.values[index, :, :, None]
            _draw_above(axes, torch.cat([race.trajectories[index], heights], -1), color, name)
        axes.legend(loc="upper left")
    axes.set(xlabel=surface.axes[0], ylabel=surface.axes[1], title=surface.name)
    return figure


def figure_losses(losses: LossMap, *, path_label: str = "training") -> Figure:
    """A map of a model's loss, a panel for each loss, or the curves of a line.

    Args:
        losses: the map; its path is drawn where it has one.
        path_label: what the path is called.

    Returns:
        A matplotlib figure, with a note on BatchNorm's statistics where the model has any.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if len(losses.y) == 1:
        figure = canvas.new_figure(6.0, 4.0)
        axes = figure.add_subplot(xlabel=losses.axes[0], ylabel="loss")
        for name, values in zip(losses.names, losses.values[:, 0], strict=True):
            axes.plot(losses.x.numpy(), values.numpy(), label=name)
        axes.legend()
    else:
        columns = min(2, len(losses.names))
        rows = -(-len(losses.names) // columns)
        figure = canvas.new_figure(5.5 * columns, 4.5 * rows)
        for index, (name, values) in enumerate(zip(losses.names, losses.values, strict=True)):
            axes = figure.add_subplot(rows, columns, index + 1, title=name)
            bands = contours(axes, losses.x.numpy(), losses.y.numpy(), values.numpy())
            colour_bar(axes, bands, "loss")
            axes.set(xlabel=losses.axes[0], ylabel=losses.axes[1])
            axes.locator_params(nbins=6)
            if losses.path is not None:
                _draw_paths(axes, losses.path[None].numpy(), canvas.COLORS[0], path_label)
                axes.legend(loc="best")
    missing = "" if losses.complete else f"interrupted: {losses.rows} of {len(losses.y)} rows"
    figure.supxlabel("; ".join(filter(None, (losses.note, missing))), size=8)
    return figure


def animate(race: Race, path: str | os.PathLike[str], *, every: int = 2, fps: int = 12) -> Path:
    """Write a race as an animated GIF.

    Args:
        race: what happened.
        path: the file.
        every: steps a frame.
        fps: frames a second.

    Returns:
        The file.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = figure_map(race)
    from matplotlib.animation import FuncAnimation, PillowWriter  # noqa: PLC0415  # as above

    lines = [line for line in figure.axes[0].lines if line.get_gid() == "path"]
    whole = [np.array(line.get_data(), dtype=float) for line in lines]
    for mark in [line for line in figure.axes[0].lines if line.get_gid() == "end"]:
        mark.remove()
    steps = race.trajectories.shape[2]

    def frame(step: int) -> list[Any]:
        for line, data in zip(lines, whole, strict=True):
            line.set_data(*data[:, : step + 1])
        return lines

    film = FuncAnimation(figure, frame, frames=range(0, steps, every), blit=False)
    film.save(os.fspath(path), writer=PillowWriter(fps=fps))
    return Path(path)


def _sorted_out(what: str | Surface | Race) -> tuple[Surface, Race | None]:
    if isinstance(what, Race):
        return what.surface, what
    return (SURFACES[what] if isinstance(what, str) else what), None


def _draw_paths(axes: Axes, paths: NDArray[Any], color: str, name: str) -> None:
    for number, path in enumerate(paths):
        label = name if number == 0 else None
        axes.plot(*path.T, "o-", color=color, ms=2.5, lw=1, label=label, gid="path")
        reached = path[np.isfinite(path).all(-1)]
        axes.plot(*reached[-1:].T, "D", color=color, mec="black", ms=6, gid="end")


def _draw_above(axes: Any, paths: Tensor, color: str, name: str) -> None:
    """Paths [start, step, 3], where they are over the surface."""
    low, high = torch.tensor([axes.get_xlim(), axes.get_ylim()]).T
    inside = ((paths[..., :2] >= low) & (paths[..., :2] <= high)).all(-1, keepdim=True)
    for number, line in enumerate(torch.where(inside, paths, torch.nan).numpy()):
        label = name if number == 0 else None
        axes.plot(*line.T, "o-", color=color, ms=2, lw=1, label=label, zorder=3)


def _draw_descent(axes: Axes, surface: Surface, arrows: int) -> None:
    x, y = (torch.linspace(low, high, arrows + 2)[1:-1] for low, high in surface.domain)
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    descent = -surface.gradient(points)
    # lengths span decades: only the direction is shown
    direction = (descent / descent.norm(dim=-1, keepdim=True).clamp_min(1e-30)).numpy()
    axes.quiver(x.numpy(), y.numpy(), *np.moveaxis(direction, -1, 0), color="#333333", width=0.002)
