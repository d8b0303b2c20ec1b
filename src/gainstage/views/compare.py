"""Two runs beside each other: their losses, the levels of their stages, and what sets them apart.

Not in the registry of views, for those are of one run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gainstage.recording import Recording
from gainstage.records import Kind
from gainstage.views.view import Floats, Numbers, by_name, decibels, median, number, numbers

_POINTS = 600
_MOST_STAGES = 2_000

Texts = tuple[str, str]
Pair = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class StagePair:
    """Median levels of one stage in both runs, in dB.

    Attributes:
        name: of the stage.
        op: its operation.
        forward: level of its output in the first run and in the second; None if silent or unknown.
        backward: level of the gradient of its output, likewise.
    """

    name: str
    op: str
    forward: Pair
    backward: Pair


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, the first being what the second is held against.

    Attributes:
        names: ids of the runs.
        scripts: their scripts.
        steps: a common axis, as far as the longer run reaches.
        losses: of each, averaged around each of these steps; None where there was none.
        difference: loss of the second minus that of the first, where both have one.
        last: last finite loss of each.
        chance: loss of the best constant prediction in each.
        seconds: wall time of each.
        counts: steps of each.
        facts: what is not the same: name, and the text in each run.
        stages: those of the first run in forward order, then those of the second alone.
        only: how many stages are in the first run alone, and in the second alone.
        left_out: stages that were left out to keep the page small.
    """

    names: Texts
    scripts: Texts
    steps: tuple[int, ...]
    losses: tuple[Numbers, Numbers]
    difference: Numbers
    last: Pair
    chance: Pair
    seconds: tuple[float, float]
    counts: tuple[int, int]
    facts: tuple[tuple[str, str, str], ...]
    stages: tuple[StagePair, ...]
    only: tuple[int, int]
    left_out: int


def compare_runs(
    first: Recording,
    second: Recording,
    *,
    losses: tuple[Recording, Recording] | None = None,
    limit: int = _POINTS,
) -> Comparison:
    """What two runs have in common and what sets them apart.

    Args:
        first: what the other is held against.
        second: the other.
        losses: the same runs with the losses step by step, where these two are coarser.
        limit: at most this many points of the losses.

    Example:
        >>> from gainstage.recording import MemoryRecording
        >>> from gainstage.records import Site
        >>> run = Site(0, "run", "run", "", "", 0)
        >>> flat, better = [2.0, 2.0], [2.0, 1.5]
        >>> both = [MemoryRecording([run], {(0, "loss"): loss}) for loss in (flat, better)]
        >>> compare_runs(*both).difference
        (0.0, -0.5)
    """
    both = first, second
    fine = losses or both
    axis = _axis(fine, limit)
    curves = [_on(axis, run) for run in fine]
    stages = _stages(*both)
    names = [set(by_name(run, "output")) for run in both]
    return Comparison(
        names=(first.info.id, second.info.id),
        scripts=(first.info.script, second.info.script),
        steps=tuple(axis[:-1].tolist()),
        losses=(numbers(curves[0]), numbers(curves[1])),
        difference=numbers(curves[1] - curves[0]),
        last=(_last(fine[0]), _last(fine[1])),
        chance=(_chance(first), _chance(second)),
        seconds=(first.seconds, second.seconds),
        counts=(len(fine[0].steps), len(fine[1].steps)),
        facts=tuple(_facts(*both)),
        stages=tuple(stages[:_MOST_STAGES]),
        only=(len(names[0] - names[1]), len(names[1] - names[0])),
        left_out=max(0, len(stages) - _MOST_STAGES),
    )


def _axis(both: tuple[Recording, Recording], limit: int) -> Floats:
    """Edges of the common columns of steps: [C + 1]."""
    known = [run.steps for run in both if len(run.steps)]
    if not known:
        return np.zeros(1, dtype=np.int64)
    low, high = min(int(s[0]) for s in known), max(int(s[-1]) for s in known)
    wanted = np.unique(np.concatenate(known)) if max(map(len, known)) <= limit else None
    if wanted is not None and len(wanted) <= limit:
        return np.append(wanted, high + 1)
    return np.unique(np.linspace(low, high + 1, limit + 1).round().astype(np.int64))


def _on(axis: Floats, run: Recording) -> Floats:
    """Mean of the finite losses between each two edges of the axis, NaN if there is none: [C]."""
    loss = run.run_values("loss").astype(np.float64)
    known = np.isfinite(loss)
    place = np.searchsorted(axis, run.steps[known], side="right") - 1
    count = np.bincount(place, minlength=len(axis))[: len(axis) - 1]
    total = np.bincount(place, weights=loss[known], minlength=len(axis))[: len(axis) - 1]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _last(run: Recording) -> float | None:
    loss = run.run_values("loss")
    known = loss[np.isfinite(loss)]
    return number(known[-1]) if len(known) else None


def _chance(run: Recording) -> float | None:
    return number(median(run.run_values("chance_loss").astype(np.float64)))


def _facts(first: Recording, second: Recording) -> Iterator[tuple[str, str, str]]:
    """What is told of the runs and differs: the script's arguments, versions, facts."""
    told = [_told(run) for run in (first, second)]
    for key in dict.fromkeys([*told[0], *told[1]]):
        pair = told[0].get(key, ""), told[1].get(key, "")
        if pair[0] != pair[1]:
            yield key, *pair


def _told(run: Recording) -> dict[str, str]:
    info = run.info
    found = {"script": info.script, "arguments": " ".join(info.args), "reading": info.detail}
    found |= {str(key): str(value) for key, value in info.versions.items()}
    for key, value in info.facts.items():
        if key == "made":  # lines of the scripts
            continue
        plain = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
        found[str(key)] = plain
    return found


def _stages(first: Recording, second: Recording) -> list[StagePair]:
    outputs = [by_name(run, "output") for run in (first, second)]
    names = dict.fromkeys([*outputs[0], *outputs[1]])
    levels = {
        kind: (_levels(first, kind), _levels(second, kind)) for kind in ("output", "output_grad")
    }
    return [
        StagePair(
            name=name,
            op=(outputs[0].get(name) or outputs[1][name]).op,
            forward=(levels["output"][0].get(name), levels["output"][1].get(name)),
            backward=(levels["output_grad"][0].get(name), levels["output_grad"][1].get(name)),
        )
        for name in names
    ]


def _levels(run: Recording, kind: Kind) -> dict[str, float | None]:
    return {
        name: number(median(decibels(run.values(site, "rms"))))
        for name, site in by_name(run, kind).items()
    }
