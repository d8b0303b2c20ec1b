"""The run files of a folder: which there are, how a new one is named, which one is meant."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gainstage.errors import RunFileError
from gainstage.records import RunInfo
from gainstage.store.merged import MergedRecording
from gainstage.store.ranks import SUFFIX, rank_files
from gainstage.store.reader import StoredRecording

_LATEST: Final = ("latest", "last")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run at a glance.

    Attributes:
        path: its file; the folder of its ranks' files, where it has several.
        info: what is known of the run, or None if the file cannot be read.
        steps: how many are recorded.
        last_loss: the last loss that was measured, or None.
        findings: how many are stored with it.
        problem: why it cannot be read; ``""`` if it can.
    """

    path: Path
    info: RunInfo | None
    steps: int = 0
    last_loss: float | None = None
    findings: int = 0
    problem: str = ""


def list_runs(folder: str | os.PathLike[str]) -> list[RunSummary]:
    """The runs of a folder, newest first; a damaged file is listed with its problem.

    Args:
        folder: it may be missing: then there are none.
    """
    files = run_files(folder).values()
    return [run for _, run in sorted(map(_summary, files), key=lambda pair: pair[0], reverse=True)]


def open_recording(path: str | os.PathLike[str]) -> StoredRecording | MergedRecording:
    """The recording in a run's file, or the merged one of its ranks in a folder.

    Raises:
        RunFileError: there is none, or it cannot be read.
    """
    return MergedRecording(path) if rank_files(Path(path)) else StoredRecording(path)


def new_run_path(folder: str | os.PathLike[str], now: float | None = None) -> Path:
    """A name that no run of the folder has, for example ``2026-11-22-a1b2.gs``.

    No random generator is asked, so that the user's training is left as it is.

    Args:
        folder: where the file will be.
        now: seconds since the epoch; the present by default.
    """
    now = time.time() if now is None else now
    day = time.strftime("%Y-%m-%d", time.localtime(now))
    for attempt in itertools.count():
        seed = f"{platform.node()} {os.getpid()} {now!r} {time.perf_counter_ns()} {attempt}"
        mark = hashlib.blake2s(seed.encode(), digest_size=2 + attempt // 1000).hexdigest()
        path = Path(folder) / f"{day}-{mark}{SUFFIX}"
        if not path.exists():
            return path
    raise AssertionError  # count() has no end


def find_run(folder: str | os.PathLike[str], text: str) -> Path:
    """The run file, or the folder of ranks' files, that a user means.

    Args:
        folder: where the runs are.
        text: a path; or a run's id, the beginning of one, or of its last part
            (``"a1b2"`` for ``2026-11-22-a1b2``); or ``"latest"``.

    Raises:
        RunFileError: no run is meant, or several are; the message lists them.
    """
    folder = Path(folder)
    if text.endswith(SUFFIX) or Path(text).name != text:
        for path in (Path(text), folder / text):
            if path.is_file() or rank_files(path):
                return path
        msg = f"There is no run file {text!r}: `gainstage runs` lists those in a folder."
        raise RunFileError(msg)
    files = run_files(folder)
    if text in files:
        return files[text]
    if not files:
        msg = f"There are no runs in {str(folder)!r}: make one with `gainstage run`."
        raise RunFileError(msg)
    if text in _LATEST:
        return list_runs(folder)[0].path
    meant = [name for name in files if text and text in (name[: len(text)], _mark(name, text))]
    if len(meant) == 1:
        return files[meant[0]]
    if meant:
        msg = f"{text!r} may be any of these runs: {_some(meant)}. Give more of the name."
    else:
        msg = f"No run in {str(folder)!r} is called {text!r}. There are: {_some(list(files))}."
    raise RunFileError(msg)


def run_files(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The runs in a folder by name; one whose ranks were merged is the file of that.

    Args:
        folder: it may be missing, or no folder: then there are none.
    """
    try:
        found = list(Path(folder).iterdir())
    except OSError:
        return {}
    ranked = {path.name: path for path in found if rank_files(path)}
    files = {path.stem: path for path in found if path.name.endswith(SUFFIX)}
    return dict(sorted((ranked | files).items()))


def _summary(path: Path) -> tuple[float, RunSummary]:
    """A run and when it was started (as far as can be known)."""
    try:
        with open_recording(path) as run:
            losses = run.run_values("loss")
            measured = losses[~np.isnan(losses)]
            last = float(measured[-1]) if len(measured) else None
            summary = RunSummary(path, run.info, len(run.steps), last, len(run.findings))
            return run.info.started, summary
    except RunFileError as error:
        try:
            changed = path.stat().st_mtime
        except OSError:
            changed = 0.0
        return changed, RunSummary(path, None, problem=str(error))


def _mark(name: str, text: str) -> str:
    """As much of a name's last part as is to be compared with `text`."""
    return name.rpartition("-")[2][: len(text)]


def _some(names: list[str]) -> str:
    """The last few names, newest first."""
    shown = ", ".join(reversed(names[-8:]))
    return shown if len(names) <= 8 else f"{shown}, and {len(names) - 8} more"
