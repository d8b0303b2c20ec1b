"""Runs a script again and again with changes, several at a time, each in a child process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import joblib
import numpy as np
from numpy.typing import NDArray

from gainstage.diagnosis.progress import progress
from gainstage.doctor.candidates import Change, Patch
from gainstage.doctor.child import launch
from gainstage.doctor.hangup import HANGUP, is_heard
from gainstage.doctor.proof import Outcome
from gainstage.doctor.workplace import Workplace
from gainstage.errors import GainstageError
from gainstage.recording import Recording
from gainstage.store import StoredRecording

_PATIENCE: Final = 4.0
"""A run may take that many times as long as the first one, and the seconds below."""
_GRACE: Final = 60.0

_POINTS: Final = 100
"""Points of a curve that is kept."""

Steps: TypeAlias = NDArray[np.int64]
Losses: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run to make: which changes, which seed, and which version of a file."""

    changes: tuple[Change, ...]
    seed: int
    patch: Patch | None = None


class Laboratory:
    """A script, and under which limits it is run.

    Args:
        workplace: where each run works; it knows the script.
        args: the script's own arguments.
        module: run a module, as ``python -m`` does.
        steps: training steps of each run.
        seconds: how long the first run took.
        jobs: runs at a time.
        limit: seconds that a run may take; by default a minute and four times the first one's.

    Attributes:
        interrupted: whether Ctrl-C, a request to terminate, or a closed terminal ended runs.
    """

    def __init__(
        self,
        workplace: Workplace,
        args: tuple[str, ...] = (),
        *,
        module: bool = False,
        steps: int,
        seconds: float = 0.0,
        jobs: int,
        limit: float | None = None,
    ) -> None:
        self._workplace = workplace
        self._args = args
        self._options = {"steps": steps, "module": module, "detail": "loss"}
        self._patience = _GRACE + _PATIENCE * jobs * seconds if limit is None else limit
        self._jobs = jobs
        self._running: list[subprocess.Popen[bytes]] = []
        self.interrupted = False

    def run(self, trials: Sequence[Trial]) -> list[Outcome | None]:
        """Make the runs; one that fails or takes too long is a result like any other.

        Returns:
            An outcome for each trial; None for those that an interrupt ended or kept from
            beginning. A second interrupt is one as any other.
        """
        work = joblib.Parallel(n_jobs=self._jobs, backend="threading")
        with self._interruptible():
            outcomes: list[Outcome | None] = work(joblib.delayed(self._run)(t) for t in trials)
        return outcomes

    def _run(self, trial: Trial) -> Outcome | None:
        if self.interrupted:
            return None
        start = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="gainstage-") as folder:
                path, log = Path(folder) / "trial.gs", Path(folder) / "log"
                told = self._observe(trial, path, log)
                seconds = time.monotonic() - start
                return None if self.interrupted else _outcome(path, log, told, seconds)
        except OSError as error:  # the disk is full, say
            return Outcome(None, f"it could not be run ({error})", time.monotonic() - start)

    def _observe(self, trial: Trial, path: Path, log: Path) -> str:
        """Run the script to its end; why it did not get there, or ``""``."""
        options = {
            **self._options,
            "run": str(path),
            "changes": [change.request() for change in trial.changes],
            "seed": trial.seed,
        }
        given = self._workplace.input if self._workplace.input.exists() else os.devnull
        with (
            self._workplace.place(trial.patch) as place,
            log.open("wb") as out,
            open(given, "rb") as stdin,  # noqa: PTH123 - a path of either kind
        ):
            command = launch("interventions", options, place.target, self._args)
            process = subprocess.Popen(  # noqa: S603 - the user's own script
                command,
                stdin=stdin,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=place.folder,
                env=self._environment(place.folder),
                start_new_session=True,  # Ctrl-C is ours to handle, and its workers end with it
            )
            self._running.append(process)
            if self.interrupted:  # just now
                _kill(process)
            try:
                code = process.wait(self._patience)
            except subprocess.TimeoutExpired:
                return "it took too long and was ended"
            finally:
                _kill(process)
                process.wait()
                self._running.remove(process)
        return f"it ended with exit code {code}" if code else ""

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let the first interrupt end the runs instead of this process."""
        signals = [signal.SIGINT, signal.SIGTERM]
        if HANGUP is not None and is_heard():
            signals.append(HANGUP)
        before = [signal.getsignal(one) for one in signals]

        def restore() -> None:
            for one, handler in zip(signals, before, strict=True):
                signal.signal(one, handler)

        def stop(*_: object) -> None:
            restore()
            self.interrupted = True
            for process in tuple(self._running):
                _kill(process)

        try:
            for one in signals:
                signal.signal(one, stop)
        except ValueError:  # not the main thread: no interrupt comes here
            yield
            return
        try:
            yield
        finally:
            restore()

    def _environment(self, folder: Path) -> dict[str, str]:
        """This process's environment; the processors are shared out among the runs."""
        threads = max(1, joblib.cpu_count() // self._jobs)
        return {"OMP_NUM_THREADS": str(threads), **os.environ, "PWD": str(folder)}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it has started: the workers of its loaders, for instance."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all have ended
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def outcome_of(recording: Recording) -> Outcome:
    """What came of a run that is recorded already."""
    loss = recording.run_values("loss").astype(np.float64)
    chance = recording.run_values("chance_loss").astype(np.float64)
    if not len(loss):
        return Outcome(None)
    return Outcome(progress(loss, chance), curve=_thinned(recording.steps, loss))


def _thinned(steps: Steps, loss: Losses) -> tuple[tuple[int, float], ...]:
    """The means over at most so many stretches, each at its last step."""
    stretches = np.array_split(np.arange(len(loss)), min(len(loss), _POINTS))
    with np.errstate(invalid="ignore"):  # of infinities
        return tuple((int(steps[part[-1]]), float(loss[part].mean())) for part in stretches)


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
    return replace(seen, told=told, seconds=seconds)
