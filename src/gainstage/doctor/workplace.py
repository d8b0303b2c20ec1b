"""Where trials work: a copy of the script's folders, so that they overwrite nothing there."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from typing_extensions import Self

from gainstage.doctor.candidates import Patch
from gainstage.doctor.listing import OURS, entries_of, files_of

LARGE: Final = 4 * 2**20
"""Bytes of a file that is copied after all others, and linked where that is too much."""

MANY: Final = 500
"""Files of a folder that is linked as a whole."""

HEAVY: Final = 32 * 2**20
"""Bytes of small files of a folder that is linked as a whole."""

MOST_FILES: Final = 3000
MOST_BYTES: Final = 256 * 2**20
"""Files, and their bytes, that are copied for one trial; beyond, trials run in place."""

MOST_LARGE: Final = 256 * 2**20
"""Bytes of large files that are copied for one trial, the smallest first; the others are linked."""

_MOST_LOOKS: Final = 10_000
"""Files whose times are remembered to see whether a linked folder is written to."""

_NEIGHBOURS: Final = 5000
"""Entries of a folder above the script's that are linked, so that ``../data`` is there."""

_TOO_LARGE: Final = "the working directory is too large to copy ({files} files, {megabytes} MB)"
_WRITTEN: Final = "it writes into '{path}', which is too large to copy"
_REFUSED: Final = "the working directory cannot be copied ({error})"
_ALL: Final = float("inf")


class _TooLargeError(Exception):
    """There is more to copy than a trial is worth."""


class Place(NamedTuple):
    """Where one trial runs.

    Attributes:
        folder: its working directory.
        target: path of the script as it is called there, or name of a module.
    """

    folder: Path
    target: str


class _Look(NamedTuple):
    """What was seen of a file or folder: a stamp, its newest time, how many files of at most."""

    stamp: int
    newest: float
    files: int
    most: int


class Workplace:
    """Gives each trial the working directory, and the script's folder, as they were found.

    A trial's root mirrors the paths of both. Small files are copied; large files, large folders
    and whatever lies beside the path to them are links, so reading works by relative paths,
    ``../data`` included. What the script makes before its first training step (downloads,
    caches) is kept for the trials; what the training wrote is not, so no trial resumes from
    another one's checkpoint. Absolute paths mean what they always do.

    Args:
        target: path of the script, or name of a module.
        module: it is a module, as for ``python -m``.
        here: the working directory, from which the script is called; the present one by default.

    Attributes:
        told: why trials run in place, in the user's own folders; ``""`` where they have copies.
        input: file for what the first run reads from its standard input.
    """

    def __init__(
        self, target: str, *, module: bool = False, here: str | os.PathLike[str] | None = None
    ) -> None:
        self._target = target
        self._module = module
        self._here = Path.cwd() if here is None else Path(here).absolute()
        self._roots = [self._here]
        if not module:
            self._roots.append((self._here / target).resolve().parent)
        self._above = {a for root in self._roots for a in (root, *root.parents)}
        self._temporary = tempfile.TemporaryDirectory(prefix="gainstage-")
        self._template = Path(self._temporary.name).resolve() / "template"
        self.input = self._template.with_name("stdin")
        self._linked: dict[Path, _Look] = {}
        self._files = self._bytes = 0
        self._looks = _MOST_LOOKS
        self._large: list[Path] = []
        self._large_bytes = 0
        self.told = ""
        self._take_in(_ALL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def settle(self, first_step: float) -> None:
        """Take in what the script's first run has left.

        Args:
            first_step: when its training began, in seconds since the epoch.
        """
        for path, seen in tuple(self._linked.items()):
            self._trying(self._settle, path, seen)
        self._take_in(first_step)

    def _settle(self, path: Path, seen: _Look) -> None:
        """See to a link after the script's first run: whether it is gone, or was written to."""
        if not path.exists():
            self._mirror(path).unlink(missing_ok=True)
            del self._linked[path]
        elif _is_other(path, seen):
            self.told = _WRITTEN.format(path=os.path.relpath(path))

    def _take_in(self, until: float) -> None:
        self._trying(self._add_folder, Path(self._here.anchor), until)
        self._trying(self._add_large, until)

    @property
    def linked(self) -> tuple[str, ...]:
        """What is too large to copy, so that trials read, and may write, the one that is there."""
        return tuple(sorted(map(os.path.relpath, self._linked)))

    def written(self) -> tuple[str, ...]:
        """What of that has changed since it was linked."""
        changed = (path for path, seen in self._linked.items() if _is_other(path, seen))
        return tuple(sorted(map(os.path.relpath, changed)))

    def holds(self, file: str) -> bool:
        """Whether trials have a copy of that file, and so could have another version of it."""
        if self.told:
            return False
        mirror = self._mirror(Path(file))
        return mirror.is_file() and mirror.resolve().is_relative_to(self._template)

    @contextlib.contextmanager
    def place(self, patch: Patch | None = None) -> Iterator[Place]:
        """A place for one trial, gone when the block ends.

        Args:
            patch: what a file that it :meth:`holds` is to hold there.
        """
        if self.told:
            yield Place(self._here, self._target)
            return
        root = Path(tempfile.mkdtemp(prefix="trial-", dir=self._temporary.name)).resolve()
        try:
            shutil.copytree(self._template, root, symlinks=True, dirs_exist_ok=True)
            if patch:
                _under(root, Path(patch.file)).write_bytes(patch.text.encode())
            target = Path(self._target)
            if not self._module and target.is_absolute():
                target = _under(root, target.parent.resolve() / target.name)
                yield Place(_under(root, self._here), str(target))
            else:
                yield Place(_under(root, self._here), self._target)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _trying(self, act: Callable[..., None], *args: Any) -> None:
        """Go on with the template; where that cannot be done, trials run in place."""
        if self.told:
            return
        try:
            act(*args)
        except _TooLargeError:
            size = {"files": self._files, "megabytes": self._bytes // 2**20}
            self.told = _TOO_LARGE.format(**size)
        except OSError as error:
            self.told = _REFUSED.format(error=error)

    def _add_folder(self, folder: Path, until: float) -> None:
        """A folder of its own with what is in it; what lies beside the path to it is linked.

        Args:
            folder: which.
            until: what is newer is left out.
        """
        if until == _ALL:  # later, a folder comes with the first file that is kept in it
            self._mirror(folder).mkdir(parents=True, exist_ok=True)
        inside = any(root in (folder, *folder.parents) for root in self._roots)
        entries = entries_of(folder)
        for entry in entries:
            path = folder / entry.name
            if path in self._above:
                self._add_folder(path, until)
            elif inside:
                self._add(entry, path, until)
            elif len(entries) <= _NEIGHBOURS and not os.path.lexists(self._mirror(path)):
                self._mirror(path).symlink_to(path)

    def _add(self, entry: os.DirEntry[str], path: Path, until: float) -> None:
        """What is inside the script's folders: copied now if it is small."""
        new = not os.path.lexists(self._mirror(path))
        if entry.name.endswith(OURS) or path == self._template.parent:
            return
        if entry.is_dir(follow_symlinks=False):
            if new and (entry.name == ".git" or _is_large(path)):
                self._link(path, until)
            elif not self._mirror(path).is_symlink():
                self._add_folder(path, until)
            return
        known = entry.stat(follow_symlinks=False)
        if not new or known.st_mtime > until:
            return
        if entry.is_symlink():
            self._make(path).symlink_to(os.readlink(path))  # noqa: PTH115 - as it is written
        elif entry.is_file() and not os.access(path, os.R_OK):
            self._link(path, until)
        elif entry.is_file() and known.st_size > LARGE:
            self._large.append(path)
        elif entry.is_file():
            self._copy(path)

    def _copy(self, path: Path) -> None:
        self._files += 1
        self._bytes += path.stat().st_size
        if self._files > MOST_FILES or self._bytes > MOST_BYTES:
            raise _TooLargeError
        shutil.copy2(path, self._make(path))

    def _add_large(self, until: float) -> None:
        """Copy the large files that were found as far as that goes, and link the others."""
        for path in sorted(self._large, key=lambda path: path.stat().st_size):
            size = path.stat().st_size
            if self._large_bytes + size > MOST_LARGE:
                self._link(path, until)
            else:
                self._large_bytes += size
                shutil.copy2(path, self._make(path))
        self._large.clear()

    def _link(self, path: Path, until: float) -> None:
        seen = _look(path, self._looks)
        self._looks -= seen.files
        if seen.newest <= until:
            self._make(path).symlink_to(path)
            if path.name != ".git":  # which others write to
                self._linked[path] = seen

    def _mirror(self, path: Path) -> Path:
        return _under(self._template, path)

    def _make(self, path: Path) -> Path:
        """Where a new entry goes; its folder is made."""
        mirror = self._mirror(path)
        mirror.parent.mkdir(parents=True, exist_ok=True)
        return mirror


def _under(root: Path, path: Path) -> Path:
    """Where an absolute path lies in a mirror."""
    return root / path.relative_to(path.anchor)


def _is_large(folder: Path) -> bool:
    """Whether a folder holds too much to copy, or is an environment of python's."""
    size = 0
    for files, (path, known) in enumerate(files_of(folder), start=1):
        size += known.st_size if known.st_size <= LARGE else 0
        if files > MANY or size > HEAVY or path.name == "pyvenv.cfg":
            return True
    return False


def _look(path: Path, most: int) -> _Look:
    """Remember a file, or the files of a folder, as they are."""
    found = files_of(path) if path.is_dir() else iter([(path, path.stat())])
    seen = [(str(p), s.st_size, s.st_mtime_ns) for p, s in itertools.islice(found, most)]
    newest = max((ns for _, _, ns in seen), default=0) / 1e9
    return _Look(hash(tuple(seen)), newest, len(seen), most)


def _is_other(path: Path, seen: _Look) -> bool:
    return not path.exists() or _look(path, seen.most).stamp != seen.stamp
