"""Which quantities a sink gets, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from gainstage.errors import UsageError
from gainstage.sinks.reading import Reading, Sink

DEFAULT: Final = (
    "run/*",
    "level/*",
    "update_ratio/*",
    "dead_units/*",
    "saturated/*",
    "histogram/*",
)
"""What a sink gets that was not told otherwise."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sink that gets a part: what :func:`choose` returns.

    Attributes:
        sink: itself.
        patterns: of the names that it gets.
        every: of how many steps it gets one.
    """

    sink: Sink
    patterns: tuple[str, ...] = DEFAULT
    every: int = 1

    @property
    def name(self) -> str:
        """What the sink is called where its cost is told."""
        found = getattr(self.sink, "__name__", None) or type(self.sink).__name__
        return str(found)

    def wants(self, name: str) -> bool:
        """Whether a pattern fits a name."""
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)

    def __call__(self, reading: Reading, /) -> object:
        """Hand a reading on."""
        return self.sink(reading)


def choose(sink: Sink, *patterns: str, every: int = 1) -> Chosen:
    """Give a sink a part of what is measured.

    Args:
        sink: a function of one :class:`~gainstage.sinks.Reading`, or a tracker.
        patterns: of names, as the shell writes them: ``"level/*"``, ``"*/grad/layers.0.*"``;
            :data:`DEFAULT` if there is none.
        every: give it each `every`-th step. Findings come in any case.

    Raises:
        UsageError: the sink cannot be called, or `every` is no whole number above 0.

    Example:
        >>> choose(print, "run/loss", every=10).wants("run/loss")
        True
    """
    if not callable(sink):
        msg = (
            "A sink is a function of one reading, or one of gainstage.sinks (TensorBoard, ...), "
            f"but got {type(sink).__name__}."
        )
        raise UsageError(msg)
    if not isinstance(every, int) or every < 1:
        msg = f"every must be a whole number from 1 (each step) on, but got {every!r}."
        raise UsageError(msg)
    if isinstance(sink, Chosen):
        return Chosen(sink.sink, patterns or sink.patterns, every)
    return Chosen(sink, patterns or DEFAULT, every)


def chosen(sinks: Sequence[Sink] | None) -> tuple[Chosen, ...]:
    """Every sink with what it gets.

    Raises:
        UsageError: something in it is no sink.
    """
    if sinks is None:
        return ()
    if callable(sinks) or not isinstance(sinks, Sequence):
        msg = "sinks must be a list of sinks: write sinks=[...] also for a single one."
        raise UsageError(msg)
    return tuple(one if isinstance(one, Chosen) else choose(one) for one in sinks)
