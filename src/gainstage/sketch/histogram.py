"""A log-linear histogram whose bins are the top bits of a float32 itself.

The bin of a number is its sign, its exponent and the three leading bits of its mantissa: one
shift an element, the same bins for every tensor, step and rank. So histograms merge by addition,
and the share of a gradient that would underflow in half precision is a range of bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHIFT: Final = 20
"""Bits of a float32 that do not matter for its bin."""

BINS: Final = 1 << (32 - SHIFT)
FLOAT32_TINY: Final = 2.0**-149
FLOAT32_MAX: Final = float(np.finfo(np.float32).max)

_HALF: Final = BINS // 2
_FIRST_NON_FINITE: Final = 0xFF << 3

_WIDTHS: Final = (1, 2, 4, 8)
"""Bytes of a stored count."""

_MOST: Final = 2.0**60
"""More elements than any run has; the sum of a few such histograms still fits an int64."""

RELATIVE_ERROR: Final = 1 / 16
"""Bound of a quantile's relative error: half a bin's width over its lower edge, for normal
numbers (at least 2**-126 in size); smaller ones have an absolute error of at most 2**-130."""


def _magnitudes() -> NDArray[np.float64]:
    """Lower edges of the finite bins' absolute values, and the end of the last: [2041]."""
    bits = np.arange(_FIRST_NON_FINITE, dtype=np.uint32) << np.uint32(SHIFT)
    return np.append(bits.view(np.float32).astype(np.float64), 2.0**128)


_EDGES: Final = _magnitudes()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of elements by sign, exponent and leading mantissa bits.

    Attributes:
        counts: int64 [4096], indexed by a float32's top twelve bits. NaN and infinities fall
            into the bins of exponent 255; how many there are of each is in the ``Summary``.

    Example:
        >>> h = Histogram.of(np.array([0.5, 0.5, 1.0, -2.0], dtype=np.float32))
        >>> h.total, [round(float(q), 2) for q in h.quantile([0.0, 0.5, 1.0])]
        (4, [-2.12, 0.53, 1.06])
        >>> (h + h).total
        8
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Histogram:
        """The histogram of no elements: the neutral element of ``+``."""
        return cls(np.zeros(BINS, dtype=np.int64))

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Histogram:
        """Histogram of a float32 array of any shape (the plain numpy way, for small arrays)."""
        bits = np.ascontiguousarray(values, dtype=np.float32).ravel().view(np.uint32)
        return cls(np.bincount(bits >> np.uint32(SHIFT), minlength=BINS).astype(np.int64))

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.counts + other.counts)

    @property
    def total(self) -> int:
        """Number of elements, non-finite ones included."""
        return int(self.counts.sum())

    def ordered(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Lower edges, upper edges and counts of the finite bins in ascending order: [4080] each.

        The two bins around zero hold zeros and the smallest subnormals.
        """
        low = np.concatenate([-_EDGES[:0:-1], _EDGES[:-1]])
        high = np.concatenate([-_EDGES[-2::-1], _EDGES[1:]])
        negative = self.counts[_HALF : _HALF + _FIRST_NON_FINITE][::-1]
        return low, high, np.concatenate([negative, self.counts[:_FIRST_NON_FINITE]])

    def quantile(self, q: float | list[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Quantiles of the finite elements, each the middle of the bin that holds it.

        The nearest-rank element of the data lies in the same bin, so the relative error is at
        most :data:`RELATIVE_ERROR`; the bins next to zero answer exactly 0.

        Args:
            q: shares between 0 and 1.

        Returns:
            float64 array shaped like `q`; NaN throughout if there is no finite element.
        """
        low, high, counts = self.ordered()
        total = int(counts.sum())
        wanted = np.asarray(q, dtype=np.float64)
        if not total:
            return np.full(wanted.shape, np.nan)
        rank = np.clip(np.ceil(wanted * total), 1, total)
        index = np.searchsorted(np.cumsum(counts), rank)
        middle = (low + high) / 2
        middle[_FIRST_NON_FINITE - 1 : _FIRST_NON_FINITE + 1] = 0.0
        return np.asarray(middle[index])

    def share_below(self, magnitude: float) -> float:
        """Share of the non-zero-bin finite elements whose size is below `magnitude`.

        Exact when `magnitude` is a power of two times 1, 1.125, ..., 1.875; otherwise the bin
        that holds it counts as below.

        Args:
            magnitude: for example ``2**-24``, the smallest subnormal of float16.
        """
        sizes = self.counts[:_FIRST_NON_FINITE] + self.counts[_HALF : _HALF + _FIRST_NON_FINITE]
        total = int(sizes[1:].sum())
        below = int(sizes[1 : int(np.searchsorted(_EDGES, magnitude))].sum())
        return below / total if total else 0.0

    def to_bytes(self) -> bytes:
        """A compact form for storage (:func:`pack`)."""
        bins = self.counts.nonzero()[0]
        return pack(bins, self.counts[bins])

    @classmethod
    def from_bytes(cls, data: bytes) -> Histogram:
        """Inverse of :meth:`to_bytes`.

        Raises:
            ValueError: the data are damaged.
        """
        n, width = int.from_bytes(data[:2], "little"), data[2] if len(data) > 2 else 0
        if width not in _WIDTHS or n > BINS or len(data) != 3 + n * (2 + width):
            msg = "A stored histogram is damaged (its length does not match its contents)."
            raise ValueError(msg)
        bins = np.frombuffer(data, dtype="<u2", count=n, offset=3)
        if n and int(bins.max()) >= BINS:
            msg = "A stored histogram is damaged (a bin is out of range)."
            raise ValueError(msg)
        counts = np.zeros(BINS, dtype=np.int64)
        counts[bins] = np.frombuffer(data, dtype=f"<u{width}", count=n, offset=3 + 2 * n)
        if (counts < 0).any() or counts.sum(dtype=np.float64) >= _MOST:
            msg = "A stored histogram is damaged (a count is impossible)."
            raise ValueError(msg)
        return cls(counts)


def pack(bins: NDArray[np.intp], counts: NDArray[np.int64]) -> bytes:
    """Some bins and their counts, for storage; the counts are as wide as the largest needs.

    No further compression: it would cost more than everything else that is done about a
    histogram.
    """
    most = int(counts.max()) if len(bins) else 0
    width = next(w for w in _WIDTHS if most < 1 << (8 * w - (w == _WIDTHS[-1])))
    head = len(bins).to_bytes(2, "little") + width.to_bytes(1, "little")
    return head + bins.astype("<u2").tobytes() + counts.astype(f"<u{width}").tobytes()
