"""The tail of a run file, one row a step, turned into chunks of one series each.

A row a step is what a training can afford to write; a row a series is what a reader wants. Every
few hundred steps the former become the latter, with the minimum, maximum and mean beside them.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gainstage.store.codec import (
    Numbers,
    checksum,
    is_intact,
    pack_steps,
    pack_values,
    unpack_values,
)

Row = Sequence[Any]
"""A row as SQLite hands it out; nothing is known of its types before it is checked."""

FRAME_COLUMNS = "step, t, n, crc, v"


@dataclass(frozen=True, slots=True)
class Overview:
    """A series at low resolution: one entry for each few hundred steps, NaN left out.

    Attributes:
        step0: first step of each entry: int64 [R].
        min: smallest value: float64 [R].
        max: largest value.
        mean: their mean.
    """

    step0: NDArray[np.int64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    mean: NDArray[np.float64]


def read_frame(row: Row) -> tuple[int, float, Numbers | None]:
    """A row of ``frame`` as step, seconds and values; the values are None if it is damaged.

    Args:
        row: the columns of :data:`FRAME_COLUMNS`.
    """
    step, t, n, crc, blob = row
    time = math.nan if t is None else t
    values = unpack_values(blob, n) if is_intact(blob, crc, step, time, n) else None
    return int(step), math.nan if values is None else float(time), values


def compact(connection: sqlite3.Connection, series: int) -> None:
    """Move all frames into one block of chunks; within the caller's transaction.

    A frame that is damaged on disk becomes NaN.

    Args:
        connection: the writer's.
        series: how many series there are by now.
    """
    rows = connection.execute(f"SELECT {FRAME_COLUMNS} FROM frame ORDER BY step").fetchall()  # noqa: S608  # a constant
    if not rows:
        return
    frames = [read_frame(row) for row in rows]
    wide = any(values is not None and values.dtype == np.float64 for _, _, values in frames)
    matrix = np.full((len(rows), series), np.nan, dtype=np.float64 if wide else np.float32)
    steps = np.array([step for step, _, _ in frames], dtype=np.int64)
    times = np.array([time for _, time, _ in frames], dtype=np.float64)
    for index, (_, _, values) in enumerate(frames):
        if values is not None:
            matrix[index, : len(values)] = values[:series]
    blob = pack_steps(steps, times)
    step0, n = int(steps[0]), len(steps)
    connection.execute(
        "INSERT INTO block (step0, n, crc, v) VALUES (?, ?, ?, ?)",
        (step0, n, checksum(blob, step0, n), blob),
    )
    columns = np.ascontiguousarray(matrix.T)
    connection.executemany(
        "INSERT INTO chunk (series, step0, n, crc, v) VALUES (?, ?, ?, ?, ?)",
        _chunks(columns, step0),
    )
    connection.executemany(
        "INSERT INTO rollup (series, step0, n, min, max, mean, last) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (int(index), step0, int(count), *numbers)
            for index, count, *numbers in zip(*_roll_up(columns), strict=True)
        ),
    )
    connection.execute("DELETE FROM frame")


def rollup(columns: Numbers) -> NDArray[np.float64]:
    """Minimum, maximum, mean and last value of each row, NaN left out: [S, T] to [4, S].

    Args:
        columns: each row with at least one number.
    """
    measured = ~np.isnan(columns)
    with np.errstate(invalid="ignore", over="ignore"):  # the mean of inf and -inf is NaN
        total = np.where(measured, columns, 0).sum(axis=1, dtype=np.float64)
        mean = total / measured.sum(axis=1)
    last = columns.shape[1] - 1 - np.argmax(measured[:, ::-1], axis=1)
    return np.stack(
        [
            np.fmin.reduce(columns, axis=1).astype(np.float64),
            np.fmax.reduce(columns, axis=1).astype(np.float64),
            mean,
            columns[np.arange(len(columns)), last].astype(np.float64),
        ]
    )


def _roll_up(columns: Numbers) -> tuple[list[float], ...]:
    """Series, count, minimum, maximum, mean and last of those that were measured at all."""
    counts = (~np.isnan(columns)).sum(axis=1)
    present = np.flatnonzero(counts)
    if not len(present):
        return ([],) * 6
    return (present.tolist(), counts[present].tolist(), *rollup(columns[present]).tolist())


def _chunks(columns: Numbers, step0: int) -> Iterator[tuple[int, int, int, int, bytes]]:
    present = ~np.isnan(columns).all(axis=1)
    for index in np.flatnonzero(present).tolist():
        blob = pack_values(columns[index])
        n = columns.shape[1]
        yield index, step0, n, checksum(blob, index, step0, n), blob
