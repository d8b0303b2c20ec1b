"""Whether the fixes that the doctor writes do what they say: applied to a copy, and run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gainstage.doctor.laboratory import outcome_of
from gainstage.doctor.proof import MARGIN, Outcome, score
from gainstage.store import open_recording

Examine = Callable[[Path], Mapping[str, Any]]
"""Runs the doctor on a script, without trials, and gives its verdict."""


def patched(script: Path, diff: str, folder: Path) -> Path | None:
    """A copy of a script with a diff applied by ``git apply``; None if it does not apply.

    Args:
        script: what the diff was made for; it stays as it is.
        diff: a unified diff of one file.
        folder: where the copy goes.
    """
    name = diff.partition("\n")[0].removeprefix("--- a/")
    copy = folder / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(script.read_bytes())
    done = subprocess.run(
        ["git", "apply", "-"],  # noqa: S607 - wherever git is
        cwd=folder,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},  # no repository's
        input=diff.encode(),
        capture_output=True,
        check=False,
    )
    return copy if done.returncode == 0 else None


def learns(script: Path, told: Mapping[str, Any], folder: Path, examine: Examine) -> bool | None:
    """Whether the first verified fix that is a diff applies, and what comes of it learns better.

    Args:
        script: the sick one.
        told: the doctor's verdict on it, its remedies tried.
        folder: where the copy goes.
        examine: runs the copy.

    Returns:
        None if no verified remedy is a diff.
    """
    remedies = [one for one in told.get("remedies", ()) if one["verified"] and one["diff"]]
    if not remedies:
        return None
    copy = patched(script, remedies[0]["diff"], folder)
    if copy is None:
        return False
    verdict = examine(copy)
    if not verdict.get("steps"):
        return False
    unchanged, changed = (_outcome(one["run"]) for one in (told, verdict))
    before: float = remedies[0]["score_before"][0]
    return score(changed, unchanged) > before + MARGIN


def _outcome(run: str) -> Outcome:
    return outcome_of(open_recording(run))
