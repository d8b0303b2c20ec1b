"""Reads a training's tensors into rows: every element, or a sample of whole cache lines."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gainstage.sketch import pointers, rows, sampling
from gainstage.sketch.elsewhere import Elsewhere, Reading
from gainstage.sketch.histogram import BINS
from gainstage.sketch.tensors import flat, measure, unreadable
from gainstage.torch_private import is_functorch_wrapped

Counts = NDArray[np.int64]

_KINDS: Final = {
    torch.float32: sampling.FLOAT32,
    torch.bfloat16: sampling.BFLOAT16,
    torch.float16: sampling.FLOAT16,
    torch.float64: sampling.FLOAT64,
}
_ORDINARY: Final = frozenset({Tensor, torch.nn.Parameter})
_NO_COUNTS: Final = np.zeros(0, dtype=np.int64)


def kind_of(tensor: Tensor, *, in_order: bool = True) -> int:
    """What lies in a tensor's memory, in one piece, for a kernel to read; 0 if nothing does.

    A tensor whose storage was freed is not told apart by this, only by its address being 0.

    Args:
        tensor: of any kind.
        in_order: its elements lie in the order of its axes. Otherwise they may be permuted, as
            those of a transposed tensor and of images with their channels last.
    """
    kind = _KINDS.get(tensor.dtype, 0)
    if (
        kind
        and type(tensor) in _ORDINARY
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor.is_nested
        and not is_functorch_wrapped(tensor)
        and (tensor.is_contiguous() or (not in_order and is_permuted(tensor)))
        and not tensor.is_neg()
        and tensor.data_ptr()
    ):
        return kind
    return 0


def is_permuted(tensor: Tensor) -> bool:
    """Whether a strided tensor's elements lie in one piece, each once, in some order.

    Example:
        >>> x = torch.zeros(2, 3, 4)
        >>> [is_permuted(y) for y in (x.transpose(0, 2), x[:, 1:], x[:1].expand(2, 3, 4))]
        [True, False, False]
    """
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


class _Scratch(threading.local):
    """Memory that a thread's samples share."""

    def __init__(self) -> None:
        self.lines = np.empty(sampling.LINE * sampling.LINES, dtype=np.float32)


class Reader:
    """Reads tensors of any kind into rows, and their histograms where this step keeps them.

    Args:
        lines: cache lines in a sample; None reads every element.

    Attributes:
        lines: as given; may be lowered while a training runs.
        turn: number of the step; samples move on with it.
        bins: whether histograms are wanted.

    Example:
        >>> reader, found = Reader(lines=4), rows.new(1)
        >>> _ = reader.read(torch.ones(1000), found[0])
        >>> rows.summary(found[0]).count, rows.summary(found[0]).sample_of
        (256, 1000)
    """

    def __init__(self, lines: int | None = None) -> None:
        self.lines = lines
        self.turn = 0
        self.bins = True
        self._scratch = _Scratch()
        self._elsewhere = Elsewhere()

    def read_there(self, tensor: Tensor) -> Reading:
        """Read a tensor of another device without waiting for it."""
        return self._elsewhere.read(tensor, lines=self.lines, turn=self.turn, bins=self.bins)

    def sample_there(self, tensor: Tensor) -> Tensor:
        """What :meth:`read_there` reads of it: its sample, or all of it, float32 [m]."""
        lines = self.lines
        if lines is None:
            lines = -(-tensor.numel() // sampling.LINE)
        return self._elsewhere.sample(tensor, lines, self.turn)

    def same_there(self, tensor: Tensor, lines: int) -> Tensor:
        """As many lines of it, the same ones at each turn: float32 [m]."""
        return self._elsewhere.sample(tensor, lines, 0)

    @property
    def plan(self) -> tuple[int, int]:
        """For kernels: lines in a sample (0 reads everything), and number of the turn."""
        return self.lines or 0, self.turn

    def read(self, tensor: Tensor, out: rows.Row, *, fresh: bool = True) -> Counts | None:
        """Read a tensor.

        Args:
            tensor: of any kind.
            out: float64 [rows.WIDTH]; its COUNT is NaN if the tensor has no values to read.
            fresh: it was just computed, so its storage cannot have been freed since.

        Returns:
            The histogram's counts, int64 [4096], if this step keeps them.
        """
        kind = kind_of(tensor, in_order=False)
        n = tensor.numel() if kind else 0
        if not n or not (fresh or pointers.holds_memory(tensor)):
            return self._otherwise(tensor, out)
        if self.lines is None or n <= sampling.LINE * self.lines:
            if kind == sampling.FLOAT32:
                return self._whole(tensor.data_ptr(), n, out)
            return self._otherwise(tensor, out)
        counts = np.zeros(BINS, dtype=np.int64) if self.bins else _NO_COUNTS
        plan = (self.lines, self.turn)
        sampling.read(tensor.data_ptr(), n, kind, plan, self._scratch.lines, counts, out)
        return counts if self.bins else None

    def _whole(self, pointer: int, n: int, out: rows.Row) -> Counts | None:
        if not self.bins:
            pointers.read(pointer, n, out)
            return None
        counts = np.zeros(BINS, dtype=np.int64)
        pointers.scan(pointer, n, counts, out)
        return counts

    def _otherwise(self, tensor: Tensor, out: rows.Row) -> Counts | None:
        """Any other kind: turned into one piece of float32 if that is exact, else measured."""
        if unreadable(tensor):
            out[:] = 0.0
            out[rows.COUNT] = np.nan
            return None
        piece = self._piece(tensor)
        if piece is not None:
            return self.read(piece, out)
        sketch = measure(tensor)
        rows.from_summary(sketch.summary, out)
        return sketch.histogram.counts if self.bins and sketch.histogram else None

    def _piece(self, tensor: Tensor) -> Tensor | None:
        """The elements of a strided tensor in one piece, or a 16-bit one's as float32."""
        ordinary = type(tensor) in _ORDINARY and tensor.layout is torch.strided
        if not ordinary or tensor.is_nested or not tensor.is_cpu or not tensor.numel():
            return None
        kind = _KINDS.get(tensor.dtype, 0)
        if not kind or kind == sampling.FLOAT64:
            return None
        piece = flat(tensor.detach()).resolve_neg()
        if kind != sampling.FLOAT32 and (self.lines is None or kind_of(tensor)):
            piece = piece.float()
        return piece if kind_of(piece) and piece.data_ptr() else None
