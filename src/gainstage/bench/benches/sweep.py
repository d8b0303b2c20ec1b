"""What a sweep costs beyond its trials, for each backend."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from gainstage.bench.bench import BENCHES, Grid, Line, Outcome, Settings
from gainstage.errors import MissingExtraError
from gainstage.sweeps.backends import Backend
from gainstage.sweeps.sweeping import sweep

JOBS: Final = 2
FEW: Final = 8
MANY: Final = 400
WAITING: Final = 64
ROUNDS: Final = 5
WORK: Final = 0.1
"""Seconds of a trial that only waits."""


def at_once(x: float, seed: int) -> float:
    """A trial that is over at once."""
    return x + seed


def after_a_while(x: float, seed: int) -> float:
    """A trial that takes :data:`WORK` seconds and no processor."""
    time.sleep(WORK)
    return x + seed


@BENCHES.register("sweep")
def cost(settings: Settings) -> Outcome:
    """Sweeps of 8 and of 400 trials, in turn; Ray too with ``--peers``.

    What each further trial takes is the difference of two sweeps over that of their trials; what
    is left of the smaller one is the beginning.
    """
    backends: list[Backend] = ["loky", "ray"] if settings.peers else ["loky"]
    grid, lines = [], []
    for backend in backends:
        try:
            found = _measured(backend)
        except MissingExtraError:
            continue
        grid.append((backend, *(f"{1e3 * value:.3g} ms" for value in found)))
        lines += [
            Line(f"{backend}, {name}", 1e3 * value, "ms")
            for name, value in zip(_COLUMNS, found, strict=True)
        ]
    title = f"beyond the trials themselves, {JOBS} at a time"
    return Outcome(lines, (Grid(title, ("backend", *_COLUMNS), grid),))


_COLUMNS: Final = (
    "first sweep of a process",
    "beginning",
    "each trial",
    "each trial, kept in a store",
    "each trial of 100 ms",
)


def _measured(backend: Backend) -> tuple[float, ...]:
    first = _seconds(at_once, FEW, backend)
    few, many, stored, waited = (
        float(np.median(times))
        for times in zip(
            *(
                (
                    _seconds(at_once, FEW, backend),
                    _seconds(at_once, MANY, backend),
                    _seconds(at_once, MANY, backend, kept=True),
                    _seconds(after_a_while, WAITING, backend) - WORK * WAITING / JOBS,
                )
                for _ in range(ROUNDS)
            ),
            strict=True,
        )
    )
    further = MANY - FEW
    each = (many - few) / further
    return (
        first,
        few - FEW * each,
        each,
        (stored - few) / further,
        (waited - few) / (WAITING - FEW),
    )


def _seconds(
    trial: Callable[..., float], trials: int, backend: Backend, *, kept: bool = False
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "sweep.db" if kept else None
        began = time.perf_counter()
        sweep(
            trial,
            {"x": [float(i) for i in range(trials)]},
            seeds=1,
            jobs=JOBS,
            backend=backend,
            store=store,
        )
        return time.perf_counter() - began
