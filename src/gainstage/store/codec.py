"""How records and numbers become the bytes of a row, and how they are checked on the way back."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gainstage.records import Frame

T = TypeVar("T")

Numbers = NDArray[np.float32] | NDArray[np.float64]
"""Values of a frame or a chunk: float32, or float64 in a rank's own file."""

LAST_STEP: Final = 2**62
"""Every step is below it, so that nothing that is reckoned with steps leaves int64."""


def checksum(blob: bytes, *numbers: float) -> int:
    """CRC-32 of a row: its other numbers in the order of the columns, then its blob.

    The numbers are packed little-endian, integers as int64 and others as float64; they are part
    of the sum because a value under the wrong step is as bad as a wrong value.

    Args:
        blob: the column ``v``.
        numbers: the columns before ``crc``.
    """
    kinds = "".join("q" if isinstance(number, int) else "d" for number in numbers)
    return zlib.crc32(blob, zlib.crc32(struct.pack("<" + kinds, *numbers)))


def is_intact(blob: object, crc: object, *numbers: object) -> bool:
    """Whether a row has the types that it should have and its checksum fits."""
    if not isinstance(blob, bytes) or not all(isinstance(n, int | float) for n in numbers):
        return False
    return checksum(blob, *numbers) == crc  # type: ignore[arg-type]  # checked one line above


def pack_steps(steps: NDArray[np.int64], times: NDArray[np.float64]) -> bytes:
    """The steps of a block and when they ended, as one blob."""
    return steps.astype("<i8").tobytes() + times.astype("<f8").tobytes()


def unpack_steps(
    blob: bytes, n: object, step0: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Inverse of :func:`pack_steps`; None if the blob does not hold `n` steps from `step0` on.

    Args:
        blob: as it is stored.
        n: as it is stored: SQLite keeps a fraction in a column of integers.
        step0: the first step.
    """
    if not isinstance(n, int) or n < 1 or len(blob) != 16 * n:
        return None
    steps = np.frombuffer(blob, dtype="<i8", count=n).astype(np.int64)
    times = np.frombuffer(blob, dtype="<f8", count=n, offset=8 * n).astype(np.float64)
    ascending = steps[0] == step0 >= 0 and steps[-1] < LAST_STEP and np.all(np.diff(steps) > 0)
    return (steps, times) if ascending else None


def pack_values(values: Numbers) -> bytes:
    """Little-endian float32 or float64; the blob's length tells which."""
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def unpack_values(blob: bytes, n: object) -> Numbers | None:
    """Inverse of :func:`pack_values`; None if the blob does not hold `n` numbers."""
    if not isinstance(n, int):  # SQLite keeps a fraction in a column of integers
        return None
    if len(blob) == 4 * n:
        return np.frombuffer(blob, dtype="<f4").astype(np.float32, copy=False)
    if len(blob) == 8 * n:
        return np.frombuffer(blob, dtype="<f8").astype(np.float64, copy=False)
    return None


def to_float32(values: ArrayLike) -> NDArray[np.float32]:
    """Rounded to float32; a number beyond its range becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32, copy=False)


FrameRow = tuple[int, float, int, int, bytes]
"""Step, seconds, number of values, checksum, values."""


def frame_row(frame: Frame, series: int, *, wide: bool) -> FrameRow:
    """A frame as its row.

    Args:
        frame: one step's numbers.
        series: how many there should be.
        wide: keep float64 as it is.

    Raises:
        ValueError: there are more or fewer.
    """
    step, t = int(frame.step), float(frame.t)
    values = np.asarray(frame.values, np.float64) if wide else to_float32(frame.values)
    if values.shape != (series,):
        msg = f"A frame has {series} values by now, got shape {values.shape}."
        raise ValueError(msg)
    blob = pack_values(values)
    return step, t, len(values), checksum(blob, step, t, len(values)), blob


def to_json(record: object) -> str:
    """A record as ASCII JSON.

    Python's own dialect (``NaN`` and ``Infinity`` as words, lone surrogates and long integers
    as they are), so that evidence and names come back as they went in. Whatever a caller put
    into a free-form field never stops a training: numpy values become numbers and lists, any
    other object its ``str``.
    """
    return json.dumps(msgspec.to_builtins(record, enc_hook=_plain, str_keys=True))


def from_json(text: object, kind: type[T]) -> T:
    """Inverse of :func:`to_json`, with every field's type checked.

    Raises:
        ValueError: the text is damaged or is no such record.
    """
    if not isinstance(text, str):
        msg = f"a {kind.__name__} is stored as {type(text).__name__} instead of text"
        raise ValueError(msg)  # noqa: TRY004  # data are wrong, not the call
    try:
        return msgspec.convert(json.loads(text), kind)
    except RecursionError as error:
        msg = f"a {kind.__name__} is nested too deeply"
        raise ValueError(msg) from error
    except ValueError as error:  # msgspec's and json's own are children of it
        msg = f"a {kind.__name__} cannot be read: {error}"
        raise ValueError(msg) from error


def printable(text: str) -> str:
    """`text` as SQLite can hold it: a lone surrogate becomes ``?`` (the JSON keeps it)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any) -> Any:
    tolist = getattr(value, "tolist", None)  # numpy scalars and arrays, torch tensors
    return str(value) if tolist is None else tolist()
