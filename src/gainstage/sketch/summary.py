"""Exact moments of one tensor, mergeable by addition."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """Moments of the elements of a tensor, accumulated in float64.

    NaN and infinite elements are counted and kept out of the moments. Two summaries merge with
    ``+`` into the summary of both tensors' elements together (Chan, Golub & LeVeque 1979), so
    micro-batches, repeated calls and ranks add up exactly.

    Attributes:
        count: elements read, non-finite ones included.
        mean: mean of the finite elements; NaN if there are none.
        std: population standard deviation (ddof 0) of the finite elements; NaN if none.
        min: smallest finite element; NaN if there are none.
        max: largest finite element; NaN if there are none.
        zeros: number of exact zeros (of either sign).
        nan: number of NaN.
        inf: number of infinities of either sign.
        sample_of: elements of the tensor, where only a sample of them was read; 0 where all were.
        rms_error: relative standard error of ``rms``; 0 where every element was read.

    Example:
        >>> a, b = Summary(2, 0.0, 1.0, -1.0, 1.0), Summary(1, 3.0, 0.0, 3.0, 3.0)
        >>> (a + b).mean, round((a + b).rms, 6)
        (1.0, 1.914854)
    """

    count: int
    mean: float
    std: float
    min: float
    max: float
    zeros: int = 0
    nan: int = 0
    inf: int = 0
    sample_of: int = 0
    rms_error: float = 0.0

    @classmethod
    def empty(cls) -> Summary:
        """The summary of no elements: the neutral element of ``+``."""
        return cls(0, math.nan, math.nan, math.nan, math.nan)

    @property
    def finite(self) -> int:
        """Number of finite elements."""
        return self.count - self.nan - self.inf

    @property
    def rms(self) -> float:
        """Root mean square of the finite elements."""
        return math.hypot(self.mean, self.std)

    @property
    def l2(self) -> float:
        """Euclidean norm of the finite elements; of a sampled tensor, as its sample has it."""
        share = self.finite / self.count if self.count else 0.0
        return self.rms * math.sqrt(share * self.size) if share else 0.0

    @property
    def size(self) -> int:
        """Elements of the tensor, read or not."""
        return max(self.sample_of, self.count)

    @property
    def zero_share(self) -> float:
        """Share of exact zeros among all elements."""
        return self.zeros / self.count if self.count else math.nan

    def __add__(self, other: Summary) -> Summary:
        if not self.finite or not other.finite:
            whole = other if other.finite else self
            mean, std, low, high = whole.mean, whole.std, whole.min, whole.max
            error = whole.rms_error
        else:
            n = self.finite + other.finite
            delta = other.mean - self.mean
            share = other.finite / n
            mean = self.mean + delta * share
            # hypot scales, so that no square leaves float64's range
            std = math.hypot(
                self.std * math.sqrt(1 - share),
                other.std * math.sqrt(share),
                delta * math.sqrt(share * (1 - share)),
            )
            low, high = min(self.min, other.min), max(self.max, other.max)
            error = 0.0
            if self.rms_error or other.rms_error:  # errors of mean squares add as variances do
                scale = max(self.rms, other.rms) or 1.0
                parts = (1 - share) * (self.rms / scale) ** 2, share * (other.rms / scale) ** 2
                wrong = math.hypot(parts[0] * self.rms_error, parts[1] * other.rms_error)
                error = wrong / (sum(parts) or 1.0)
        return Summary(
            count=self.count + other.count,
            mean=mean,
            std=std,
            min=low,
            max=high,
            zeros=self.zeros + other.zeros,
            nan=self.nan + other.nan,
            inf=self.inf + other.inf,
            sample_of=self.size + other.size if self.sample_of or other.sample_of else 0,
            rms_error=error,
        )

    def values(self) -> tuple[float, ...]:
        """The numbers in the order of :data:`gainstage.quantities.SUMMARY_KEYS`."""
        return (
            float(self.count),
            self.mean,
            self.rms,
            self.std,
            self.l2,
            self.min,
            self.max,
            self.zero_share,
            float(self.nan),
            float(self.inf),
            self.rms_error,
        )
