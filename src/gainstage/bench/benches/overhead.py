"""The price of watching a training: its steps with and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch

from gainstage.bench.bench import BENCHES, Line, Outcome, Settings
from gainstage.bench.peers import ONLY
from gainstage.bench.peers import peers as all_peers
from gainstage.bench.race import Contestant, Step, Times, race
from gainstage.bench.workloads import WORKLOADS, Training
from gainstage.probe.watch import watch

WATCHES: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "exact": {"detail": "exact"},
    "budget": {"budget": 0.02},
}
"""The watches that compete, and their arguments."""

UNEVEN: Final = ("budget",)
"""Who measures at some steps only. A median would not see them; these are judged by means."""

PROMISED: Final = {
    "MLP": {"default": 1.05, "exact": 1.20, "budget": 1.03},
    "CNN": {"default": 1.02, "exact": 1.12, "budget": 1.03},
    "transformer": {"default": 1.01, "exact": 1.05, "budget": 1.03},
}


@BENCHES.register("overhead")
def overhead(settings: Settings) -> Outcome:
    """Steps of three small trainings with each watch over those without, on one thread.

    All contestants take turns step by step in one process. Milliseconds are medians over the
    rounds. The ratio is of CPU time, the process's with all its threads: the median over the
    rounds of a step over the unwatched one of the same round, which is three times steadier
    than the ratio of the medians on a machine that others use. A watch with a budget measures
    at some steps only; for it both are means.

    The background service process of wandb is not counted, only what it does in this one.

    Args:
        settings: with ``peers``, wandb, TensorBoard and, where it can, cockpit compete as well.

    Raises:
        MissingExtraError: the peers are not installed.
    """
    contestants = _ours() | (all_peers() if settings.peers else {})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lines = []
    try:
        for workload in WORKLOADS:
            able = {
                name: contestant
                for name, contestant in contestants.items()
                if workload in ONLY.get(name, WORKLOADS)
            }
            with TemporaryDirectory(prefix="gainstage-") as folder:
                times = race(WORKLOADS[workload], able, Path(folder))
            lines += [_line(workload, name, times) for name in able]
    finally:
        torch.set_num_threads(threads)
    return Outcome(lines)


def _ours() -> dict[str, Contestant]:
    watches = {name: _watched(arguments) for name, arguments in WATCHES.items()}
    return {"unwatched": _unwatched, **watches}


@contextmanager
def _unwatched(training: Training, folder: Path) -> Iterator[Step]:
    del folder
    yield training.step


def _watched(arguments: dict[str, Any]) -> Contestant:
    @contextmanager
    def contestant(training: Training, folder: Path) -> Iterator[Step]:
        with watch(training.model, training.optimizer, dir=folder, **arguments):
            yield training.step

    return contestant


def _line(workload: str, name: str, times: dict[str, Times]) -> Line:
    own, bare = times[name], times["unwatched"]
    if name in UNEVEN:
        cpu, wall, ratio = own.cpu.mean(), own.wall.mean(), own.cpu.mean() / bare.cpu.mean()
    else:
        cpu, wall, ratio = np.median(own.cpu), np.median(own.wall), np.median(own.cpu / bare.cpu)
    bound = PROMISED[workload].get(name)
    return Line(
        name,
        float(cpu),
        "ms/step",
        None if name == "unwatched" else float(ratio),
        None if bound is None else ("<=", bound),
        workload=workload,
        wall=float(wall),
    )
