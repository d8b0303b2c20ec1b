"""The files of a run's ranks, of which there may be more than a process may have open."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from typing_extensions import override

from gainstage.errors import RunFileError
from gainstage.store.ranks import rank_files
from gainstage.store.reader import StoredRecording

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_FEWEST: Final = 64
_WITHOUT_LIMIT: Final = 256


class Parts(Mapping[int, StoredRecording]):
    """Recordings by rank, in the order of the ranks.

    To look one up is to be about to read it: where there are more ranks than files that may be
    open, the one that was looked up longest ago is let go of. It opens again when it is read.

    Args:
        folder: of the run.
        most: how many may be open at once; by default as many as :func:`most_open` says.
    """

    def __init__(self, folder: Path, most: int | None = None) -> None:
        self._folder = folder
        self._most = most_open() if most is None else most
        self._all: dict[int, StoredRecording] = {}
        self._open: OrderedDict[int, None] = OrderedDict()  # the last looked up at the end

    @override
    def __getitem__(self, rank: int) -> StoredRecording:
        part = self._all[rank]
        self._open[rank] = None
        self._open.move_to_end(rank)
        while len(self._open) > self._most:
            self._all[self._open.popitem(last=False)[0]].close()
        return part

    @override
    def __iter__(self) -> Iterator[int]:
        return iter(self._all)

    @override
    def __len__(self) -> int:
        return len(self._all)

    def refresh(self) -> dict[int, str]:
        """Take in what was written since, by ranks that are known and by new ones.

        Returns:
            Why a rank cannot be read, for the others can.
        """
        unreadable: dict[int, str] = {}
        for rank, file in rank_files(self._folder).items():
            try:
                if rank in self._all:
                    self[rank].refresh()
                else:
                    self._all[rank] = StoredRecording(file)
                    self[rank]  # it is open now, and counts
                self._all[rank].share(next(iter(self._all.values())))
            except RunFileError as error:  # noqa: PERF203 - each file may fail by itself
                unreadable[rank] = str(error)
        self._all = dict(sorted(self._all.items()))
        return unreadable

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the files open for many readings, if all of them may be."""
        with contextlib.ExitStack() as stack:
            if len(self) <= self._most:
                for part in self._all.values():
                    stack.enter_context(part.held())
            yield

    def hold(self) -> None:
        """Keep the files open until :meth:`close`, if all of them may be."""
        if len(self) <= self._most:
            for part in self._all.values():
                part.__enter__()

    def close(self) -> None:
        """Let go of the files."""
        for part in self._all.values():
            part.close()
        self._open.clear()


def most_open() -> int:
    """How many files may be open at once: half of what the system allows this process.

    Example:
        >>> most_open() >= 64
        True
    """
    allowed = _WITHOUT_LIMIT * 2
    if resource is not None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = 2 * _WITHOUT_LIMIT if soft == resource.RLIM_INFINITY else int(soft)
    return max(math.floor(allowed / 2), _FEWEST)
