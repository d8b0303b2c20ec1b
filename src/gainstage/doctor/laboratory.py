"""Runs a script again and again with changes, several at a time, each in a child process."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import joblib
import numpy as np

from gainstage.diagnosis.progress import progress
from gainstage.doctor.candidates import Change
from gainstage.doctor.child import launch
from gainstage.doctor.proof import Outcome
from gainstage.errors import GainstageError
from gainstage.recording import Recording
from gainstage.store import StoredRecording

_PATIENCE: Final = 4.0
"""A run may take that many times as long as the first one, and the seconds below."""
_GRACE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One run to make: which changes, and which seed."""

    changes: tuple[Change, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A script, and under which limits it is run.

    Attributes:
        target: path of the script, or name of a module.
        args: its own arguments.
        module: run a module, as ``python -m`` does.
        steps: training steps of each run.
        seconds: how long the first run took.
        jobs: runs at a time.
    """

    target: str
    args: tuple[str, ...]
    module: bool
    steps: int
    seconds: float
    jobs: int

    def run(self, trials: Sequence[Trial]) -> list[Outcome]:
        """Make the runs; one that fails or takes too long is a result like any other."""
        work = joblib.Parallel(n_jobs=self.jobs, backend="threading")
        outcomes: list[Outcome] = work(joblib.delayed(self._run)(trial) for trial in trials)
        return outcomes

    def _run(self, trial: Trial) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="gainstage-") as folder:
            path, log = Path(folder) / "trial.gs", Path(folder) / "log"
            options = {
                "run": str(path),
                "steps": self.steps,
                "module": self.module,
                "detail": "loss",
                "changes": [change.request() for change in trial.changes],
                "seed": trial.seed,
            }
            command = launch("interventions", options, self.target, self.args)
            start = time.monotonic()
            told = ""
            with log.open("wb") as out:
                try:
                    done = subprocess.run(  # noqa: S603 - the user's own script
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                        env=self._environment(),
                        timeout=_GRACE + _PATIENCE * self.jobs * self.seconds,
                        check=False,
                    )
                    told = f"it ended with exit code {done.returncode}" if done.returncode else ""
                except subprocess.TimeoutExpired:
                    told = "it took too long and was ended"
            return _outcome(path, log, told, time.monotonic() - start)

    def _environment(self) -> dict[str, str]:
        """This process's environment; the processors are shared out among the runs."""
        threads = max(1, joblib.cpu_count() // self.jobs)
        return {"OMP_NUM_THREADS": str(threads), **os.environ}


def outcome_of(recording: Recording) -> Outcome:
    """What came of a run that is recorded already."""
    loss = recording.run_values("loss").astype(np.float64)
    chance = recording.run_values("chance_loss").astype(np.float64)
    return Outcome(progress(loss, chance) if len(loss) else None)


def _outcome(path: Path, log: Path, told: str, seconds: float) -> Outcome:
    try:
        with StoredRecording(path) as recording:
            seen = outcome_of(recording)
    except GainstageError:
        seen = Outcome(None, "it ended before a step was recorded")
    if told:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        told = f"{told}: {last[0][:200]}" if last else told
    elif seen.progress is None:
        told = seen.told or "no training step was seen"
    return Outcome(seen.progress, told, seconds)
