"""The readings of one step: taken where a tensor passes by, computed together at its end.

Between two layers the processor's caches are full of the layers' own data, so each instruction of
ours costs many times what it costs in a loop. So a hook only copies its sample; moments and
histograms of all samples follow in one go.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from torch import Tensor

from gainstage.sketch import rows, sampling
from gainstage.sketch.elsewhere import Reading, is_elsewhere
from gainstage.sketch.histogram import BINS
from gainstage.sketch.kernels import Counts, Floats, count_few
from gainstage.sketch.reader import Reader, kind_of
from gainstage.sketch.units import share_outside

_ROOM: Final = 64
"""Readings for which there is room at first."""


class Pool:
    """Takes readings of tensors and hands them out as rows.

    Args:
        reader: says what is read of a tensor.

    Attributes:
        pointer: address of the tensor that was taken last, if it lies in one piece; else 0.
        elsewhere: readings that are on other devices, by number; their rows say nothing.

    Example:
        >>> import torch
        >>> pool = Pool(Reader(lines=4))
        >>> number = pool.take(torch.full((1000,), 2.0))
        >>> rows.summary(pool.settle()[number]).rms
        2.0
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.pointer = 0
        self._rows = rows.new(_ROOM)
        self._counts: dict[int, Counts] = {}
        self.elsewhere: dict[int, Reading] = {}
        self._used = 0
        self._spare: list[int] = []
        self._samples: Floats = np.zeros((0, 0), np.float32)
        self._sizes: rows.Numbers = np.zeros((0, 2), np.int64)
        self._make_memory(_ROOM)

    def take(self, tensor: Tensor, kind: int | None = None) -> int:
        """Read a tensor that has just been computed.

        Args:
            tensor: of any kind.
            kind: what :func:`kind_of` says of it, if that is known.

        Returns:
            The number of its reading.
        """
        number = self._used
        if self._spare or number >= self._room:
            number = self._next()
        else:
            self._used = number + 1
        if kind is None:
            kind = kind_of(tensor, in_order=False)
        pointer = self.pointer = tensor.data_ptr() if kind else 0
        reader = self.reader
        lines = reader.lines
        if lines is not None and kind:
            n, most = tensor.numel(), lines * sampling.LINE
            if self._memory[2] < most:
                self._make_memory(self._room)  # until now all was read
            if n and (kind != sampling.FLOAT64 or n > most):
                where = self._memory
                if sampling.grab(pointer, n, kind, lines, reader.turn, where, number):
                    return number
        self._sizes[number, 0] = 0
        if not kind and is_elsewhere(tensor):
            self.elsewhere[number] = reader.read_there(tensor)
            self._rows[number, rows.COUNT] = np.nan
            return number
        counts = reader.read(tensor, self._rows[number])
        if counts is not None:
            self._counts[number] = counts
        return number

    def settle(self) -> rows.Rows:
        """Compute what was only copied; the rows, by number of reading."""
        sampling.settle(self._samples, self._sizes, self._used, self._rows)
        return self._rows

    def counts(self, number: int) -> Counts | None:
        """The histogram of a reading, where this step keeps them."""
        m = int(self._sizes[number, 0])
        if not m:
            return self._counts.get(number)
        if not self.reader.bins:
            return None
        counts = np.zeros(BINS, dtype=np.int64)
        count_few(self._samples[number, :m].view(np.uint32), counts)
        return counts

    def outside(self, number: int, bounds: tuple[float, float]) -> float | None:
        """Share of a sample outside the bounds; None where the tensor was read as a whole."""
        m = int(self._sizes[number, 0])
        if not m:
            return None
        return float(share_outside(self._samples[number].ctypes.data, m, bounds))

    def give_back(self, number: int) -> None:
        """A reading is not wanted any more."""
        self._counts.pop(number, None)
        self.elsewhere.pop(number, None)
        self._spare.append(number)

    def clear(self) -> None:
        """Forget all readings."""
        self._counts.clear()
        self.elsewhere.clear()
        self._spare.clear()
        self._used = 0

    def _next(self) -> int:
        if self._spare:
            return self._spare.pop()
        number = self._used
        self._used += 1
        if self._used > self._room:
            self._rows = np.pad(self._rows, ((0, self._room), (0, 0)))
            self._make_memory(2 * self._room)
        return number

    def _make_memory(self, room: int) -> None:
        """Make, or enlarge, what the samples are copied to; those that are there stay."""
        width = 0 if self.reader.lines is None else self.reader.lines * sampling.LINE
        samples, sizes = np.zeros((room, width), np.float32), np.zeros((room, 2), np.int64)
        old = self._samples
        samples[: len(old), : old.shape[1]] = old
        sizes[: len(old)] = self._sizes
        self._room, self._samples, self._sizes = room, samples, sizes
        self._memory = samples.ctypes.data, sizes.ctypes.data, width
