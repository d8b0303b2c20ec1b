"""Trainings that take turns within one process, each as if it were alone in it.

One process is the fairest here: a step is followed at once by everybody else's, so that a machine
that slows down slows them all alike, and no contestant has luckier memory pages, or colder
caches, than the others. What must not be shared is put into place before each turn and taken away
after it: torch's two ways into autograd, which a watch replaces for the whole process, and the
clocks, by which a watch with a budget learns how long a step takes.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from gainstage.bench.workloads import Batch, Training, Workload

WARM_UP: Final = 20
"""Rounds that come first and do not count."""

CLOCKS: Final = ("monotonic", "perf_counter", "process_time", "thread_time")

Step: TypeAlias = Callable[[Batch], object]

Contestant: TypeAlias = Callable[[Training, Path], AbstractContextManager[Step]]
"""From a training and a folder for its files: what is called for each step, while it is open."""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of a contestant's steps, round by round: CPU of the process, and wall."""

    cpu: NDArray[np.float64]
    wall: NDArray[np.float64]


class Seat:
    """A contestant's place in the process: what it put into torch, and clocks of its own.

    Its clocks stand still while others take their turn; other threads keep the true ones.

    Args:
        stack: closes the contestant.
        contestant: opened here; what it installs meanwhile is there in its turns only.
    """

    def __init__(self, stack: ExitStack, contestant: AbstractContextManager[Step]) -> None:
        theirs = _autograd()
        self._step = stack.enter_context(contestant)
        self._installed = _autograd()
        _install(*theirs)
        self._left = {name: getattr(time, name)() for name in CLOCKS}
        self._away = dict.fromkeys(CLOCKS, 0.0)

    def take_turn(self, batch: Batch) -> tuple[float, float]:
        """One step; its seconds of the process's CPU time and of the wall clock."""
        cpu_clock, wall_clock = time.process_time, time.perf_counter
        with self._seated():
            wall, cpu = wall_clock(), cpu_clock()
            self._step(batch)
            return cpu_clock() - cpu, wall_clock() - wall

    @contextmanager
    def _seated(self) -> Iterator[None]:
        theirs, true = _autograd(), {name: getattr(time, name) for name in CLOCKS}
        for name, clock in true.items():
            self._away[name] += clock() - self._left[name]
            setattr(time, name, _behind(clock, self._away[name]))
        _install(*self._installed)
        try:
            yield
        finally:
            _install(*theirs)
            for name, clock in true.items():
                setattr(time, name, clock)
                self._left[name] = clock()


def race(
    workload: Workload, contestants: Mapping[str, Contestant], folder: Path
) -> dict[str, Times]:
    """The times of each contestant's steps, all on the same weights and batches.

    Args:
        workload: what they train.
        contestants: by name; in each round each takes one step, in an order that is drawn anew.
        folder: for their files.
    """
    data, order = torch.Generator().manual_seed(0), np.random.default_rng(0)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    with ExitStack() as stack:
        seats = {
            name: Seat(stack, make(Training(workload), folder))
            for name, make in contestants.items()
        }
        with _uncollected():
            for round_ in range(WARM_UP + workload.rounds):
                batch = workload.batch(data)
                for name in order.permutation(list(seats)).tolist():
                    seconds = seats[name].take_turn(batch)
                    if round_ >= WARM_UP:
                        spent[name].append(seconds)
    return {name: Times(*(1e3 * np.array(seconds).T)) for name, seconds in spent.items()}


def _autograd() -> tuple[Any, Any]:
    return torch.autograd.backward, torch.autograd.grad


def _install(backward: Any, grad: Any) -> None:
    torch.autograd.backward, torch.autograd.grad = backward, grad


def _behind(clock: Callable[[], float], seconds: float) -> Callable[[], float]:
    mine = threading.get_ident()
    return lambda: clock() - seconds if threading.get_ident() == mine else clock()


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection, which would fall on whoever's turn it is."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
