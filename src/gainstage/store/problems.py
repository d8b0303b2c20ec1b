"""What can go wrong with a run file, in sentences: what failed, because of what, what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from gainstage.errors import RunFileError

_ADVICE = (
    # (part of SQLite's message, what to tell)
    ("disk is full", "The disk is full: free some space, or give watch() another dir."),
    ("no space", "Free some, or give watch() another dir."),
    ("too big", "It holds a row larger than any that Gainstage writes: do not trust it."),
    ("interrupted", "It takes longer to read than any sound file would: do not trust it."),
    ("locked", "Another process keeps it locked: close that one and try again."),
    (
        "readonly",
        "Its disk or folder cannot be written: copy it, with any -wal file, to one that can.",
    ),
    (
        "unable to open",
        "Look at its permissions; after a kill, copy it from a read-only disk with its -wal file.",
    ),
    ("not a database", "It is not a run file at all: give the path of a file made by Gainstage."),
    ("malformed", "The file is damaged or cut short: restore it from a copy."),
    ("disk i/o error", "The disk refused: it may be full, over its quota or gone."),
)


def cannot_read(path: Path, error: BaseException | str) -> RunFileError:
    """The error for a failed read."""
    return RunFileError(f"The run file {str(path)!r} cannot be read: {_because(error)}")


def cannot_write(path: Path, error: BaseException | str) -> RunFileError:
    """The error for a failed write."""
    return RunFileError(f"The run file {str(path)!r} cannot be written: {_because(error)}")


def cannot_create(path: Path, error: OSError | sqlite3.Error) -> RunFileError:
    """The error for a run file that cannot come into being."""
    if isinstance(error, FileExistsError):
        reason = "there is one of that name already, and a run is never overwritten: remove it."
    elif isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        folder = str(path.parent)
        reason = f"the folder {folder!r} is read-only for this user: give watch() another dir."
    elif isinstance(error, NotADirectoryError):
        reason = f"{str(path.parent)!r} is no folder: give watch() another dir."
    else:
        reason = _because(error)
    return RunFileError(f"The run file {str(path)!r} cannot be created: {reason}")


def missing(path: Path) -> RunFileError:
    """The error for a path with nothing, or no file, behind it."""
    if path.is_dir():
        what = "is a folder: give the path of a file in it, or the folder to `gainstage runs`."
    else:
        what = "does not exist: `gainstage runs` lists those that do."
    return RunFileError(f"The run file {str(path)!r} {what}")


def empty(path: Path) -> RunFileError:
    """The error for a file that never got its tables."""
    return RunFileError(
        f"The run file {str(path)!r} is empty: its run was killed while it was being created. "
        "Nothing is lost but the file itself; remove it."
    )


def foreign(path: Path) -> RunFileError:
    """The error for a database of somebody else."""
    return RunFileError(
        f"The file {str(path)!r} is an SQLite database of another application, not a run file: "
        "give the path of a file made by Gainstage."
    )


def newer(path: Path, version: int, known: int) -> RunFileError:
    """The error for a format that did not exist when this was written."""
    return RunFileError(
        f"The run file {str(path)!r} has format {version}, and this Gainstage reads formats up to "
        f"{known}: update it with `pip install -U gainstage`."
    )


def altered(path: Path, what: str) -> RunFileError:
    """The error for contents that Gainstage would not have written."""
    return RunFileError(
        f"The run file {str(path)!r} is damaged or was altered ({what}): restore it from a copy."
    )


def _because(error: BaseException | str) -> str:
    text = str(error)
    advice = next((advice for part, advice in _ADVICE if part in text.lower()), "")
    if isinstance(error, OSError) and error.errno is not None:
        text = os.strerror(error.errno)
    return f"{text.rstrip('.')}. {advice}".rstrip()
