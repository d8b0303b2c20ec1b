"""The levels of all parameters: of each the weight, its gradient and its update."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gainstage.recording import Recording
from gainstage.records import Site
from gainstage.views.view import between, by_name, measured_level, median, number, view


@dataclass(frozen=True, slots=True)
class ParameterLevels:
    """Levels in dB of a parameter, its gradient and its update.

    Attributes:
        name: of the parameter.
        layer: that owns it.
        op: of that layer.
        shape: of the parameter.
        weight: level of its values; None if silent or unknown.
        grad: level of its gradient, likewise.
        update: level of what a step adds to it, likewise.
        silent: those of the three that are exactly zero.
    """

    name: str
    layer: str
    op: str
    shape: tuple[int, ...]
    weight: float | None
    grad: float | None
    update: float | None
    silent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParameterTable:
    """All parameters in forward order."""

    rows: tuple[ParameterLevels, ...]


@view("parameters")
def parameter_table(
    recording: Recording,
    *,
    step: int | None = None,
    start: int | None = None,
    stop: int | None = None,
) -> ParameterTable:
    """Levels of every parameter, read as those of the stages are.

    Args:
        recording: the run.
        step: read at the recorded step nearest to this one; None for the median over a range.
        start: first step of the range; None for the first recorded.
        stop: last step of the range (included); None for the last recorded.

    Example:
        >>> from gainstage.recording import MemoryRecording
        >>> site = Site(0, "fc.weight", "weight", "fc", "Linear", 0, (2, 2))
        >>> (row,) = parameter_table(MemoryRecording([site], {(0, "rms"): [0.1, 0.1]})).rows
        >>> row.name, row.weight, row.grad
        ('fc.weight', -20.0, None)
    """
    chosen = between(recording.steps, step, start, stop)
    gradients, updates = by_name(recording, "grad"), by_name(recording, "update")
    rows = []
    for site in by_name(recording, "weight").values():
        sites: dict[str, Site | None] = {
            "weight": site,
            "grad": gradients.get(site.name),
            "update": updates.get(site.name),
        }
        read = {
            kind: median(measured_level(recording, where)[chosen]) if where else math.nan
            for kind, where in sites.items()
        }
        rows.append(
            ParameterLevels(
                name=site.name,
                layer=site.layer,
                op=site.op,
                shape=site.shape,
                weight=number(read["weight"]),
                grad=number(read["grad"]),
                update=number(read["update"]),
                silent=tuple(kind for kind, level in read.items() if level == -math.inf),
            )
        )
    return ParameterTable(tuple(rows))
