"""The loss over the steps, with what it should be held against and what happened on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gainstage.recording import Recording
from gainstage.views.view import Floats, Numbers, columns, median, number, numbers, view

_COLUMNS = 1200
_SPANS = 40  # the smoothed curve averages over about this part of the run, to either side


@dataclass(frozen=True, slots=True)
class Mark:
    """An event, as the chart shows it."""

    step: int
    code: str
    site: str


@dataclass(frozen=True, slots=True)
class LossChart:
    """The loss and the learning rate.

    Attributes:
        steps: first step of each point.
        loss: mean loss at each point; None where it was not measured or not finite.
        low: lowest loss of the point's steps; empty if every point is one step.
        high: highest loss of the point's steps; empty likewise.
        smooth: centred average of the neighbouring points.
        chance: loss of the best constant prediction (the median over the run), if known.
        lr: learning rate at each point.
        events: what happened.
        first: first measured loss.
        last: last measured loss.
        infinite: first step at which the loss was infinite, if any.
    """

    steps: tuple[int, ...]
    loss: Numbers
    low: Numbers
    high: Numbers
    smooth: Numbers
    chance: float | None
    lr: Numbers
    events: tuple[Mark, ...]
    first: float | None
    last: float | None
    infinite: int | None


@view("loss")
def loss_chart(recording: Recording, *, limit: int = _COLUMNS) -> LossChart:
    """Loss, chance loss, learning rate and events.

    Args:
        recording: the run.
        limit: at most this many points; a longer run is averaged, with its extremes beside.
    """
    loss = recording.run_values("loss").astype(np.float64)
    points = columns(recording.steps, limit, recording.ends)
    known = np.flatnonzero(np.isfinite(loss))
    infinite = np.flatnonzero(np.isinf(loss))
    mean = points.reduce(loss, "mean")
    whole = len(points.starts) == len(loss)
    return LossChart(
        steps=points.first,
        loss=numbers(mean),
        low=() if whole else numbers(points.reduce(loss, "min")),
        high=() if whole else numbers(points.reduce(loss, "max")),
        smooth=numbers(_smoothed(mean)),
        chance=number(median(recording.run_values("chance_loss").astype(np.float64))),
        lr=numbers(points.reduce(recording.run_values("lr"), "mean")),
        events=tuple(Mark(event.step, event.code, event.site) for event in recording.events),
        first=number(loss[known[0]]) if len(known) else None,
        last=number(loss[known[-1]]) if len(known) else None,
        infinite=int(recording.steps[infinite[0]]) if len(infinite) else None,
    )


def _smoothed(values: Floats) -> Floats:
    """Centred average over what is finite; NaN where nothing was measured: [C].

    The weights fall off linearly on both sides, so the curve has no lag; at the ends there
    is one side only.
    """
    if not len(values):
        return values
    reach = min(len(values) // _SPANS, (len(values) - 1) // 2)
    kernel = 1.0 - np.abs(np.arange(-reach, reach + 1)) / (reach + 1)
    known = np.isfinite(values)
    total = np.convolve(np.where(known, values, 0.0), kernel, "same")
    weight = np.convolve(known.astype(np.float64), kernel, "same")
    return np.where(known, total / np.maximum(weight, 1e-12), np.nan)
