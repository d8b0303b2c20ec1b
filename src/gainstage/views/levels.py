"""The level diagram: how loud every stage is, forward and backward. The signature view.

The level of a tensor is ``20 log10(rms)`` in dB. Forward, the gain of a stage is its output's
level minus that of the stage before (for the first stage: of the network's input). Backward, it
is the level of the gradient that the stage hands to the one before, minus that of the gradient
that reaches its output. Stages that branch off are compared with their neighbour in forward
order all the same. In a well-staged network every gain is near 0 dB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gainstage.recording import Recording
from gainstage.views.view import (
    Floats,
    Numbers,
    between,
    by_name,
    measured_level,
    median,
    number,
    numbers,
    view,
)

LIMIT_DB = 40.0
"""Beyond this far from its reference a level is shown as out of range (a factor of 100)."""

_MOST_TRACK_STEPS = 120
_MOST_TRACK_CELLS = 24_000


@dataclass(frozen=True, slots=True)
class Meter:
    """The level of one signal.

    Attributes:
        level: dB at the chosen step, or the median over the range; None if silent or unknown.
        gain: dB that the stage adds, from the same readings; None if either side is unknown.
        silent: the signal is exactly zero (the level is minus infinity).
        low: lowest finite level of the run.
        high: highest finite level of the run.
        track: level at each of ``LevelDiagram.steps``.
        gains: gain at each of those steps.
        silences: positions in ``LevelDiagram.steps`` at which the signal was exactly zero.
    """

    level: float | None
    gain: float | None
    silent: bool
    low: float | None
    high: float | None
    track: Numbers
    gains: Numbers
    silences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the chain: its name, operation, output shape and two meters."""

    name: str
    op: str
    shape: tuple[int, ...]
    forward: Meter
    backward: Meter


@dataclass(frozen=True, slots=True)
class LevelDiagram:
    """The levels of a whole network.

    Attributes:
        at: the chosen step; None for the median over ``start``..``stop``.
        start: first step of the range.
        stop: last step of the range.
        steps: the steps of the tracks, evenly picked from the whole run.
        stages: in forward order.
        limit: how many dB from its reference a level may be before it is out of range; forward
            the reference is 0 dB, backward the level at which the gradient enters the network
            (the last stage's), because a loss may be scaled at will.
    """

    at: int | None
    start: int
    stop: int
    steps: tuple[int, ...]
    stages: tuple[Stage, ...]
    limit: float = LIMIT_DB


@view("levels")
def level_diagram(
    recording: Recording,
    *,
    step: int | None = None,
    start: int | None = None,
    stop: int | None = None,
) -> LevelDiagram:
    """Levels and gains of all stages in forward order.

    Args:
        recording: the run.
        step: read at the recorded step nearest to this one; None for the median over a range.
        start: first step of the range; None for the first recorded.
        stop: last step of the range (included); None for the last recorded.

    Example:
        >>> from gainstage.records import Site
        >>> a, b = Site(0, "a", "output", "a", "Linear", 0), Site(1, "b", "output", "b", "Tanh", 1)
        >>> from gainstage.recording import MemoryRecording
        >>> run = MemoryRecording([a, b], {(0, "rms"): [1.0], (1, "rms"): [0.1]})
        >>> [(s.name, s.forward.level, s.forward.gain) for s in level_diagram(run).stages]
        [('a', 0.0, None), ('b', -20.0, -20.0)]
    """
    steps = recording.steps
    chosen = between(steps, step, start, stop)
    picked = _picked(len(steps), len(recording.of_kind("output")))
    read = steps[chosen] if chosen.any() else steps
    first, last = (int(read[0]), int(read[-1])) if len(read) else (0, 0)
    return LevelDiagram(
        at=first if step is not None and len(read) else None,
        start=first,
        stop=last,
        steps=tuple(steps[picked].tolist()),
        stages=_stages(recording, chosen, picked),
    )


def _picked(total: int, stages: int) -> NDArray[np.int64]:
    """Evenly picked positions of steps, first and last among them, fewer for deep networks."""
    most = min(_MOST_TRACK_STEPS, max(12, _MOST_TRACK_CELLS // max(stages, 1)))
    return np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(np.int64))


def _stages(
    recording: Recording, chosen: NDArray[np.bool_], picked: NDArray[np.int64]
) -> tuple[Stage, ...]:
    outputs = list(by_name(recording, "output").values())
    gradients = by_name(recording, "output_grad")
    inputs = recording.of_kind("input")
    forward = [measured_level(recording, site) for site in outputs]
    backward = [measured_level(recording, gradients.get(site.name)) for site in outputs]
    before = [measured_level(recording, inputs[0] if inputs else None), *forward]
    handed_on = [measured_level(recording, None), *backward]
    return tuple(
        Stage(
            name=site.name,
            op=site.op,
            shape=site.shape,
            forward=_meter(forward[i], forward[i], before[i], chosen, picked),
            backward=_meter(backward[i], handed_on[i], backward[i], chosen, picked),
        )
        for i, site in enumerate(outputs)
    )


def _meter(
    level: Floats,
    after: Floats,
    before: Floats,
    chosen: NDArray[np.bool_],
    picked: NDArray[np.int64],
) -> Meter:
    """The meter of a signal whose stage turns the level `before` into `after`: each [T]."""
    reading = median(level[chosen])
    finite = level[np.isfinite(level)]
    track = level[picked]
    return Meter(
        level=number(reading),
        gain=_difference(median(after[chosen]), median(before[chosen])),
        silent=reading == -math.inf,
        low=number(finite.min()) if len(finite) else None,
        high=number(finite.max()) if len(finite) else None,
        track=numbers(track, 4),
        gains=numbers(_finite(after[picked]) - _finite(before[picked]), 4),
        silences=tuple(np.flatnonzero(np.isneginf(track)).tolist()),
    )


def _finite(levels: Floats) -> Floats:
    """The same with NaN for silence, so that no difference is infinite."""
    return np.where(np.isfinite(levels), levels, np.nan)


def _difference(a: float, b: float) -> float | None:
    return number(a - b) if math.isfinite(a) and math.isfinite(b) else None
