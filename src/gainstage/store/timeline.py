"""Which steps a run file holds and where: blocks of chunks, then the tail of single frames."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gainstage.store import problems
from gainstage.store.codec import LAST_STEP, Numbers, is_intact, unpack_steps
from gainstage.store.compaction import FRAME_COLUMNS, read_frame

_Block = tuple[NDArray[np.int64], NDArray[np.float64]]


class Timeline:
    """The steps of a run as of one moment; never changed, only followed by a longer one.

    Blocks are immutable once written, and the tail is small enough to be kept in memory, so a
    writer that turns the tail into chunks meanwhile changes nothing of what is seen here.

    Attributes:
        steps: int64 [T], ascending.
        times: seconds since the start: float64 [T].
        places: step0 of a block to its slice of the T steps.
        last_block: step0 of the last block, -1 if there is none.
        last: the last step, -1 if there is none.
        tail_start: index of the first step that is not in a block.
        bad: keys of the damaged rows met.
    """

    def __init__(
        self,
        blocks: dict[int, _Block | None] | None = None,
        frames: dict[int, tuple[float, Numbers | None]] | None = None,
    ) -> None:
        self._blocks = blocks or {}
        self._frames = frames or {}
        sound = [(step0, block) for step0, block in self._blocks.items() if block is not None]
        self.places: dict[int, slice] = {}
        self.tail_start = 0
        for step0, (steps, _) in sound:
            self.places[step0] = slice(self.tail_start, self.tail_start + len(steps))
            self.tail_start += len(steps)
        tail_times = np.array([t for t, _ in self._frames.values()], dtype=np.float64)
        tail_steps = np.fromiter(self._frames, dtype=np.int64)
        self.steps = np.concatenate([*(steps for _, (steps, _) in sound), tail_steps])
        self.times = np.concatenate([*(times for _, (_, times) in sound), tail_times])
        self.last_block = max(self._blocks, default=-1)
        self.last = int(self.steps[-1]) if len(self.steps) else -1
        self.bad: set[tuple[object, ...]] = {
            *(("block", step0) for step0, block in self._blocks.items() if block is None),
            *(("frame", step) for step, (_, values) in self._frames.items() if values is None),
        }

    def bounds(self, span: slice) -> tuple[int, int]:
        """First and last step0 of the blocks that meet a span of positions; (0, -1) if none."""
        met = [
            step0
            for step0, place in self.places.items()
            if place.start < span.stop and place.stop > span.start
        ]
        return (met[0], met[-1]) if met else (0, -1)

    def extended(self, connection: sqlite3.Connection, path: Path) -> Timeline:
        """The timeline as of now.

        Args:
            connection: in a read transaction.
            path: for the messages.

        Raises:
            RunFileError: the steps do not ascend, or reach too far.
        """
        blocks = dict(self._blocks)
        for step0, n, crc, blob in connection.execute(
            "SELECT step0, n, crc, v FROM block WHERE step0 > ? ORDER BY step0",
            (self.last_block,),
        ):
            sound = is_intact(blob, crc, step0, n)
            blocks[step0] = unpack_steps(blob, n, step0) if sound else None
        ended = max((int(block[0][-1]) for block in blocks.values() if block), default=-1)
        frames = {step: frame for step, frame in self._frames.items() if step > ended}
        query = f"SELECT {FRAME_COLUMNS} FROM frame WHERE step > ? ORDER BY step"  # noqa: S608  # a constant
        for row in connection.execute(query, (max(ended, *frames, -1),)):
            step, time, values = read_frame(row)
            frames[step] = time, values
        longer = Timeline(blocks, frames)
        if bool(np.any(np.diff(longer.steps) <= 0)):
            raise problems.altered(path, "its steps do not ascend")
        if longer.last >= LAST_STEP:
            raise problems.altered(path, f"its steps reach {longer.last}")
        return longer

    def tail(self, series: int) -> NDArray[np.float64]:
        """A series over the steps after the blocks: float64 [T - tail_start]."""
        nan = np.nan
        return np.array(
            [
                values[series] if values is not None and series < len(values) else nan
                for _, values in self._frames.values()
            ],
            dtype=np.float64,
        )
