"""Which steps are measured, and how a watch is held to a share of the training's time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gainstage.sketch.sampling import LINES

FEWEST_LINES: Final = 8
"""A sample is not made smaller than that: a tenth of the lines costs nine tenths of the time."""

MOST_STEPS: Final = 4096
"""The farthest that measured steps may lie apart."""

SETTLING: Final = 4
"""Measured steps before the first decision: the first ones compile, allocate and name things."""

_SECONDS: Final = 0.1
_STEPS: Final = 64
_MEASURED: Final = 3
"""What a decision rests on: some time or some steps, and some of them measured."""

_COMFORT: Final = 0.5
"""Below that share of the budget, more is read again."""

_ROOM: Final = 0.25
"""Share of the budget that must be left for measuring; else the steps between are given up."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is read.

    Attributes:
        lines: of a tensor, in a sample; None reads every element.
        every: each so-maniest step is measured.
        asleep: the steps between are not even recorded: no loss, no frame.
    """

    lines: int | None
    every: int
    asleep: bool = False


class Governor:
    """Decides how much is read: fewer elements first, then fewer steps, then none between.

    No site is ever given up for good: a step less costs a moment, a site less a place.

    Args:
        budget: time spent measuring, as a share of the rest; 0.02 is 2 %.
        effort: where to begin.

    Example:
        >>> governor = Governor(0.02, Effort(lines=32, every=1))
        >>> for _ in range(40):
        ...     _ = governor.see(seconds=0.1, spent=0.01, measured=True)
        >>> governor.effort.lines, governor.effort.every > 1
        (8, True)
    """

    def __init__(self, budget: float, effort: Effort) -> None:
        self.budget = budget
        self.effort = effort
        self._first = effort
        self._settling = SETTLING
        self._clear()

    def see(self, *, seconds: float, spent: float, measured: bool) -> Effort | None:
        """Take in a step.

        Args:
            seconds: how long it took.
            spent: how much of that was spent measuring.
            measured: whether it was one that is measured.

        Returns:
            The effort from now on, if it changes.
        """
        if self._settling:
            self._settling -= measured
            return None
        self._rest += max(seconds - spent, 0.0)
        self._steps += 1
        if measured:
            self._measured += 1
            self._on_measured += spent
        else:
            self._on_others += spent
        enough = self._rest >= _SECONDS or self._steps >= _STEPS
        if not enough or self._measured < _MEASURED:
            return None
        share = self._share()
        new = self.effort
        if share > self.budget:
            new = self._less()
        elif share < _COMFORT * self.budget:
            new = self._more()
        self._clear()
        if new == self.effort:
            return None
        self.effort = new
        return new

    def _less(self) -> Effort:
        now = self.effort
        if now.lines is None:
            return Effort(LINES, now.every, now.asleep)
        if now.lines > FEWEST_LINES:
            return Effort(max(now.lines // 2, FEWEST_LINES), now.every, now.asleep)
        left = self.budget * self._step - self._idle
        if left <= _ROOM * self.budget * self._step:  # the steps between cost too much themselves
            return Effort(now.lines, max(2 * now.every, 2), asleep=True)
        wanted = math.ceil((self._busy - self._idle) / left)
        return Effort(now.lines, min(max(wanted, now.every + 1), MOST_STEPS), now.asleep)

    def _share(self) -> float:
        """The price of a whole round: a measured step and those up to the next."""
        every = self.effort.every
        return (self._busy + (every - 1) * self._idle) / (every * self._step)

    @property
    def _step(self) -> float:
        """Mean time of a step without us."""
        return self._rest / self._steps

    @property
    def _busy(self) -> float:
        """Mean price of a measured step."""
        return self._on_measured / self._measured

    @property
    def _idle(self) -> float:
        """Mean price of a step that is not measured."""
        return self._on_others / max(self._steps - self._measured, 1)

    def _more(self) -> Effort:
        now = self.effort
        if now.every > self._first.every:
            every = max(now.every * 2 // 3, self._first.every)
            return Effort(now.lines, every, now.asleep and every > self._first.every)
        if now.lines is not None and now.lines < (self._first.lines or LINES):
            return Effort(2 * now.lines, now.every, now.asleep)
        return now

    def _clear(self) -> None:
        self._rest = 0.0
        self._steps = 0
        self._measured = 0
        self._on_measured = 0.0
        self._on_others = 0.0


class Pace:
    """Says which steps are measured; a governor may change its mind about that.

    Args:
        every: each so-maniest step is measured.
        governor: what holds the price to a budget, if something does.
    """

    def __init__(self, every: int, governor: Governor | None) -> None:
        self.governor = governor
        self._every = every
        self._next = 0

    def measures(self, step: int) -> bool:
        """Whether a step is measured."""
        return step >= self._next

    def sleeps(self, step: int) -> bool:
        """Whether a step is not even recorded."""
        asleep = self.governor is not None and self.governor.effort.asleep
        return asleep and not self.measures(step)

    def measures_forward(self, step: int, *, over: bool) -> bool:
        """Whether the step that a forward pass belongs to may be measured.

        Args:
            step: the current one.
            over: its update was made, so the forward pass belongs to the next.
        """
        if not over:
            return self.measures(step)
        upcoming = step + self._every if self.measures(step) else self._next
        return step + 1 >= upcoming

    def passed(self, step: int, *, seconds: float, spent: float) -> Effort | None:
        """A step is over.

        Args:
            step: which.
            seconds: how long it took.
            spent: how much of that was spent measuring.

        Returns:
            The effort from now on, if it changes.
        """
        measured = self.measures(step)
        if measured:
            self._next = step + self._every
        if self.governor is None:
            return None
        effort = self.governor.see(seconds=seconds, spent=spent, measured=measured)
        if effort is not None:
            self._every = effort.every
            self._next = min(self._next, step + 1 + effort.every)
        return effort
