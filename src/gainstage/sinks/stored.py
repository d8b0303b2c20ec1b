"""Hands a stored run on to a sink, as a live watch would have done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.records import Finding, Series
from gainstage.sinks import names
from gainstage.sinks.names import Plan
from gainstage.sinks.reading import Reading, Sink
from gainstage.sinks.selection import Chosen, choose
from gainstage.sketch import Histogram
from gainstage.store import MergedRecording, StoredRecording
from gainstage.store.windows import finest

_AT_ONCE: Final = 20_000_000
"""Numbers that are in memory at a time."""


def send(
    recording: StoredRecording | MergedRecording,
    sink: Sink,
    findings: Sequence[Finding] = (),
) -> int:
    """Hand every step on, then the findings.

    Histograms are the finest that are stored: of single steps at the start of a run, of windows
    of steps later on, each at its last step.

    Args:
        recording: the run.
        sink: it, or what :func:`choose` made of it.
        findings: what the rules found, main one first.

    Returns:
        How many steps it was given.
    """
    one = sink if isinstance(sink, Chosen) else choose(sink)
    sites = recording.sites
    pairs = [(site, key) for site in sites for key in recording.quantities(site)]
    plan = Plan.of(sites, [Series(i, s.id, key) for i, (s, key) in enumerate(pairs)], one.wants)
    given = 0
    with recording.held():
        shapes = _shapes(recording, one)
        steps, times = recording.steps, recording.times
        wanted = [index for index in range(len(steps)) if steps[index] % one.every == 0]
        block = max(1, _AT_ONCE // max(len(pairs), 1))
        for first in range(0, len(wanted), block):
            part = wanted[first : first + block]
            rows = np.full((len(part), len(pairs)), np.nan, dtype=np.float32)
            for column in plan.columns.tolist():
                rows[:, column] = recording.values(*pairs[column])[part]
            for index, row in zip(part, rows, strict=True):
                step = int(steps[index])
                found = shapes.get(step, {})
                when = recording.info.started + float(times[index])
                one.sink(Reading(recording.info, step, when, plan.scalars(row), found))
                given += 1
    end = int(steps[-1]) if len(steps) else 0
    when = recording.info.started + (float(times[-1]) if len(times) else 0.0)
    one.sink(Reading(recording.info, end, when, findings=tuple(findings)))
    one.sink(Reading(recording.info, end, when, last=True))
    return given


def _shapes(
    recording: StoredRecording | MergedRecording, one: Chosen
) -> dict[int, Mapping[str, Histogram]]:
    """The histograms by name, at the recorded step that ends each."""
    found: dict[int, dict[str, Histogram]] = {}
    steps: NDArray[np.int64] = recording.steps[recording.steps % one.every == 0]
    for site in recording.sites:
        name = names.histogram(site)
        if not one.wants(name) or not len(steps):
            continue
        stored = recording.windows(site)
        for window in finest(stored):
            place = int(np.searchsorted(steps, window.end)) - 1
            if place >= 0 and steps[place] >= window.step0:
                held = found.setdefault(int(steps[place]), {})
                known = held.get(name)
                held[name] = stored[window] if known is None else known + stored[window]
    return dict(found.items())
