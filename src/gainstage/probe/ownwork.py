"""How long a rank works by itself, between backward passes.

Data parallel ranks wait for each other within the backward pass, so all steps take equally long;
which rank the others wait for shows in the time between two of them: its data, its forward pass,
its step, and whatever it alone has to do (logs, checkpoints).
"""

from __future__ import annotations

import time

from gainstage.probe.guard import Guard
from gainstage.probe.ranks import this_rank
from gainstage.probe.recorder import Recorder


class OwnWork:
    """A clock that runs between backward passes, where there are several ranks.

    Args:
        recorder: takes down what it shows.
        guard: knows what of the time was ours.
    """

    def __init__(self, recorder: Recorder, guard: Guard) -> None:
        self._recorder, self._guard = recorder, guard
        self._alone = this_rank() is None
        self._ended: tuple[float, float] | None = None

    def backward_ended(self) -> None:
        """A backward pass ended: from now on the rank is on its own."""
        self._ended = time.monotonic(), self._guard.seconds

    def backward_begins(self) -> None:
        """Record the seconds since the last one ended, ours left out."""
        if self._alone or self._ended is None:
            return
        since, ours = self._ended
        self._ended = None
        own = time.monotonic() - since - (self._guard.seconds - ours)
        self._recorder.add_run(own_seconds=max(own, 0.0))
