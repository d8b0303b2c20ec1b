"""What is in the user's folders, as far as one may look."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

OURS: Final = (".gs", ".gs-wal", ".gs-shm")
"""Endings of the run files, which no trial needs."""


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, as far as one may look."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def files_of(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files of a folder and what is known of them, without what python itself writes."""
    for entry in entries_of(folder):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from files_of(path)
        elif not entry.name.endswith(OURS):
            with contextlib.suppress(OSError):  # gone by now
                yield path, entry.stat(follow_symlinks=False)
