"""Holds the price of a watch to a share of the training's time, by reading less."""

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

_SECONDS: Final = 0.25
_MEASURED: Final = 3
"""What a decision rests on, at least."""

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
        if self._rest < _SECONDS or self._measured < _MEASURED:
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
