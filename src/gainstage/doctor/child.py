"""Runs a user's script under observation in a child process of its own."""

from __future__ import annotations

import importlib.machinery
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from gainstage.errors import ScriptError, UsageError
from gainstage.store import StoredRecording, new_rank_path, new_run_path, rank_in


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of running a script.

    Attributes:
        code: the script's own exit code; negative for a signal.
        path: the run file; under torchrun, this rank's.
        recording: what was recorded; None if the child died before it could begin.
        seconds: how long the child took.
    """

    code: int
    path: Path
    recording: StoredRecording | None
    seconds: float = 0.0

    @property
    def trained(self) -> bool:
        """Whether at least one training step was seen."""
        return self.recording is not None and len(self.recording.steps) > 0

    @property
    def problem(self) -> str:
        """Why there is no full verdict: one sentence, or ``""`` if there is."""
        recording = self.recording
        if recording is None:
            return (_REMOVED if self.code == 0 else _NO_RUN).format(code=self.code, path=self.path)
        info = recording.info
        steps = len(recording.steps)
        if info.status in _ENDINGS:
            how = {"outcome": _one_line(info.outcome), "signal": _signal(self.code)}
            return _ENDINGS[info.status].format(steps=steps, **how)
        if steps:
            return ""
        return _NOT_TRAINED if "torch" in info.versions else _NO_TORCH


_ENDINGS: Final = {
    "interrupted": "The script was interrupted after {steps} steps.",
    "failed": "The script failed after {steps} steps: {outcome}.",
    "running": "The script's process was killed ({signal}); the {steps} steps so far are kept.",
}
_LAUNCH: Final = """\
import sys
if sys.path[0] == "":
    del sys.path[0]
from gainstage.{launcher}.launch import main
main(sys.argv[1:])
"""
"""What the child runs. Nothing of ours is imported from the folder that the user is in."""

_NO_RUN: Final = "The script's process ended (exit code {code}) before it could be observed."
_REMOVED: Final = (
    "The script ended, but there is no run file '{path}' any more. "
    "If the script clears that folder, keep runs in another one with --dir."
)
_NO_TORCH: Final = "The script ended without importing torch, so there was nothing to observe."
_NOT_TRAINED: Final = (
    "The script ended without a training step: no backward pass was seen. "
    "Does it train when called with these arguments?"
)


def observe(
    target: str,
    args: Sequence[str] = (),
    *,
    module: bool = False,
    steps: int = 0,
    seconds: float = 0.0,
    folder: str | os.PathLike[str] = "runs",
    keep_input: str | os.PathLike[str] = "",
) -> Observation:
    """Run a script as ``python target args`` would, and record its training.

    The script has this process's standard streams, environment and working directory. An
    interrupt (Ctrl-C) reaches it as usual; this function waits for it to end.

    Args:
        target: path of the script, or name of a module.
        args: its own arguments.
        module: run a module, as ``python -m`` does.
        steps: stop it politely after that many training steps; 0 for no limit.
        seconds: stop it politely that long after its first step; 0 for no limit.
        folder: where the run file goes.
        keep_input: file to which what it reads from its standard input is copied.

    Raises:
        ScriptError: there is no such script; the message says what was looked for.
        UsageError: a limit is negative or no number.
    """
    for limit, value in (("steps", steps), ("seconds", seconds)):
        if not (value >= 0 and math.isfinite(value)):
            msg = f"{limit} must be a number from 0 (no limit) upward, but got {value}."
            raise UsageError(msg)
    check(target, module=module)
    rank = rank_in(os.environ)
    path = new_rank_path(folder, rank) if rank else new_run_path(folder)
    options = {
        "run": str(path),
        "steps": steps,
        "seconds": seconds,
        "module": module,
        "stdin": os.fspath(keep_input),
    }
    sys.stdout.flush()
    start = time.monotonic()
    process = subprocess.Popen(launch("probe", options, target, args))  # noqa: S603 - the user's
    code = _wait(process)
    recording = StoredRecording(path) if path.exists() else None
    return Observation(code, path, recording, time.monotonic() - start)


def launch(
    launcher: str, options: Mapping[str, Any], target: str, args: Sequence[str]
) -> list[str]:
    """The command line of a child process that runs a script.

    Args:
        launcher: the package whose ``launch`` runs it.
        options: what that reads.
        target: path of the script, or name of a module.
        args: its own arguments.
    """
    code = _LAUNCH.format(launcher=launcher)
    return [sys.executable, "-c", code, json.dumps(options), target, *args]


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the child; an interrupt goes to it by the terminal, so only outlast it here.

    A request to terminate comes to this process alone, as from torchrun when another rank has
    failed, and is passed on.
    """
    previous = signal.getsignal(signal.SIGINT)
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    except ValueError:  # not the main thread: there is no interrupt to outlast
        return process.wait()
    try:
        return process.wait()
    except SystemExit:  # the terminal was closed
        process.terminate()
        raise
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.signal(signal.SIGTERM, before)


def check(target: str, *, module: bool) -> None:
    """Refuse what python could not run, before a process is started for it.

    Raises:
        ScriptError: there is no such script; the message says what was looked for.
    """
    path = Path(target)
    if module:
        if _is_module(target):
            return
        msg = f"There is no module named '{target}' that python -m could run from here."
    elif path.is_dir():
        msg = f"'{target}' is a folder. Name the python script that trains the model."
    elif path.is_file():
        return
    else:
        msg = f"There is no script '{target}'.{_scripts_like(path)}"
    raise ScriptError(msg)


def _is_module(name: str) -> bool:
    """Whether python finds a module; the packages that it is in are not imported for that."""
    place: Sequence[str] | None = [str(Path.cwd()), *sys.path]
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:depth]), place)
        if spec is None:
            return False
        place = spec.submodule_search_locations or []
    return True


def _scripts_like(path: Path) -> str:
    """A hint at what is there: names like the one that is missing, or a few of them all."""
    names = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=3)
    if near:
        return f" Did you mean {' or '.join(map(repr, near))}?"
    return f" In that folder there are: {', '.join(names[:5])}." if names else ""


def _one_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
