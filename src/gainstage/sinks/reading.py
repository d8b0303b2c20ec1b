"""What a sink is given: the numbers of one step under their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gainstage.records import Finding, RunInfo
from gainstage.sketch import Histogram


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one step.

    Attributes:
        run: what is known of the run as a whole.
        step: which step.
        time: when it ended, in seconds since the epoch.
        scalars: numbers by name, as :mod:`gainstage.sinks.names` gives them; what was not measured
            at this step is not there. Infinities are: the level of silence is ``-inf``.
        histograms: distributions of elements by name, at the steps that have any.
        findings: what the rules found up to this step, main one first; None if they were not asked.
        last: the run has ended, and no other reading follows.
    """

    run: RunInfo
    step: int
    time: float
    scalars: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    findings: tuple[Finding, ...] | None = None
    last: bool = False


class Sink(Protocol):
    """Takes one reading after the other: any function of one argument does.

    It is called inside the training, so what it takes is part of the watch's cost; what it raises
    switches it off, and the training goes on.
    """

    def __call__(self, reading: Reading, /) -> object:
        """Take one reading."""
