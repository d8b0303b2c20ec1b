"""Figures of the initialisation tools, by matplotlib: predicted levels, what an audit found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gainstage.quantities import level_db
from gainstage.render.canvas import FAULT, FORWARD, MUTED, new_axes, new_figure
from gainstage.theory.results import Audited, PredictedStage

_MOST_NAMES: Final = 24


def draw_prediction(stages: Sequence[PredictedStage], path: str | Path, title: str = "") -> None:
    """Draw levels over the stages: predicted as a line with its band, measured as dots.

    Args:
        stages: in forward order.
        path: of the picture; its ending chooses the format.
        title: above it.
    """
    figure = new_figure(11, 4.2)
    ways = (("forward", "rms", "predicted_rms"), ("backward", "grad", "predicted_grad"))
    for place, (way, measured, predicted) in enumerate(ways, 1):
        axis = new_axes(figure, way.title(), "", "dB", place=(1, 2, place))
        there = [_level(getattr(s, measured)) for s in stages]
        expected = [_level(getattr(s, predicted)) for s in stages]
        at = range(len(stages))
        axis.axhline(0, color=MUTED, linewidth=0.8)
        if way == "forward":
            band = [2 * s.band_db for s in stages]
            low, high = zip(
                *((e - b, e + b) for e, b in zip(expected, band, strict=True)), strict=True
            )
            axis.fill_between(at, low, high, color=FORWARD, alpha=0.13, label="two bands", lw=0)
        axis.plot(at, expected, color=FORWARD, linewidth=1.6, label="predicted")
        axis.plot(at, there, ".", color=FAULT, markersize=5, label="measured")
        _name_stages(axis, [s.name for s in stages])
    figure.axes[0].legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.savefig(path)


def draw_audit(rows: Sequence[Audited], path: str | Path) -> None:
    """Draw each weight's deviation over that of the nearest scheme that suits it.

    Args:
        rows: of an audit; those of weights are drawn.
        path: of the picture.
    """
    weights = [r for r in rows if r.role == "weight" and r.rms > 0 and r.factor == r.factor]
    figure = new_figure(8.5, 0.8 + 0.3 * max(len(weights), 3))
    axis = new_axes(figure, "", "rms over that of the nearest scheme for the layer", "")
    axis.axvline(1, color=MUTED, linewidth=0.8)
    for at, row in enumerate(weights):
        fits = bool(row.fits)
        axis.plot(row.factor, at, "o", color=FORWARD if fits else FAULT, markersize=6)
        told = str(row.fits[0]) if fits else "no scheme"
        axis.annotate(told, (row.factor, at), (7, 0), textcoords="offset points", va="center",
                      fontsize=8, color=FORWARD if fits else FAULT)  # fmt: skip
    axis.set_yticks(range(len(weights)), [row.name for row in weights], fontsize=8)
    axis.invert_yaxis()
    axis.set_xscale("log")
    reach = max([2.0, *(max(r.factor, 1 / r.factor) for r in weights)])
    axis.set_xlim(1 / reach / 1.3, reach * 4)
    ticks = [t for t in (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100) if 1 / reach / 1.3 < t < reach * 2]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    figure.savefig(path)


def _level(rms: float) -> float:
    return level_db(rms) if rms > 0 and math.isfinite(rms) else math.nan


def _name_stages(axis: Any, names: Sequence[str]) -> None:
    step = max(1, math.ceil(len(names) / _MOST_NAMES))
    at = range(0, len(names), step)
    axis.set_xticks(list(at), [names[i] for i in at], rotation=90, fontsize=7)
