"""Calls whose outputs were read, and which wait for their gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from torch.utils.hooks import RemovableHandle

from gainstage.probe.places import MAX_CALLS, Entry, Place
from gainstage.sketch.pool import Pool

MAX_HELD: Final = 2048
"""Calls held for a backward that may never come (an evaluation with gradients)."""


class Held:
    """Holds the calls since the last backward, and those that it did not go through.

    A second backward may go through them still, in the same step or in the next: two losses of
    one forward pass, the two players of a GAN. After that they are let go.

    Args:
        pool: has the readings.

    Attributes:
        entries: the calls, in their order.
        hooks: theirs.
        graded: calls whose gradient came, with the number of its reading.
        most: calls that are held at most.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.entries: list[Entry] = []
        self.hooks: list[tuple[Entry, RemovableHandle]] = []
        self.graded: list[tuple[Entry, int]] = []
        self.most = MAX_HELD
        self._left: dict[int, int] = {}  # by id of the entry: the step whose backward left it
        self._recomputed: set[int] = set()  # ids of entries
        self._dropped: dict[int, Counter[Place]] = {}  # by root: calls of each stage

    def drop(self) -> None:
        """Make room: calls that have no site of their own go first, else the oldest ones."""
        half = self.most // 2
        calls: Counter[Place] = Counter()
        late: list[Entry] = []
        for entry in self.entries:
            calls[entry.place] += 1
            if calls[entry.place] > MAX_CALLS:
                late.append(entry)
        if len(late) > half:
            self._release(late[:half])
            return
        oldest = self.entries[:half]
        for entry in oldest:
            self._dropped.setdefault(entry.root, Counter())[entry.place] += 1
        self._release(oldest)

    def recomputed(self, entry: Entry) -> None:
        """A call was made in a backward: the first that autograd recorded of it."""
        self._recomputed.add(id(entry))

    def first(self, place: Place) -> tuple[bool, Entry | None]:
        """Whether a stage was called before the backward, and of those calls one without gradient.

        Args:
            place: the stage.
        """
        done = self._recomputed
        calls = [entry for entry in self.entries if entry.place is place and id(entry) not in done]
        return bool(calls), next((entry for entry in calls if not entry.graded), None)

    def passed(self) -> list[Entry]:
        """The calls that a backward went through, and those beside them that need no gradient."""
        roots = {entry.root for entry in self.entries if entry.graded and entry.root}
        return [
            entry
            for entry in self.entries
            if entry.graded or (entry.root in roots and not entry.needs_grad)
        ]

    def never_passed(self) -> list[Entry]:
        """The calls that there has been no backward for."""
        return [entry for entry in self.entries if id(entry) not in self._left]

    def missing(self, entries: Iterable[Entry]) -> dict[str, int]:
        """How many calls of each stage were dropped that come before the first of these."""
        if not self._dropped:
            return {}
        found: Counter[str] = Counter()
        for root in {entry.root for entry in entries if entry.root}:
            for place, calls in self._dropped.get(root, {}).items():
                found[place.layer()] += calls
        return dict(found)

    def over(self, recorded: Sequence[Entry], step: int) -> None:
        """A backward is over: let go of what was recorded, and of what waits for too long.

        Args:
            recorded: the calls that it went through.
            step: number of the step.
        """
        if len(recorded) < len(self.entries):
            done = set(map(id, recorded))
            gone = [
                entry
                for entry in self.entries
                if id(entry) in done or self._left.setdefault(id(entry), step) < step - 1
            ]
            if len(gone) < len(self.entries):
                self._release(gone)
                return
        self.clear()

    def clear(self) -> None:
        """Let go of all."""
        for _, hook in self.hooks:
            hook.remove()  # an output may outlive its step; a parameter that is one surely does
        for entry in reversed(self.entries):
            entry.place.leave(entry)
        for held in (self.entries, self.hooks, self.graded, self._left):
            held.clear()
        self._recomputed.clear()
        self._dropped.clear()
        self._pool.clear()

    def _release(self, entries: Sequence[Entry]) -> None:
        gone = set(map(id, entries))
        for entry in reversed(entries):
            self._pool.give_back(entry.reading)
            entry.place.leave(entry)
        for entry, hook in self.hooks:
            if id(entry) in gone:
                hook.remove()
        for entry, reading in self.graded:
            if id(entry) in gone:
                self._pool.give_back(reading)
        self.entries[:] = [entry for entry in self.entries if id(entry) not in gone]
        self.hooks[:] = [pair for pair in self.hooks if id(pair[0]) not in gone]
        self.graded[:] = [pair for pair in self.graded if id(pair[0]) not in gone]
        self._recomputed -= gone
        for ident in gone:
            self._left.pop(ident, None)
