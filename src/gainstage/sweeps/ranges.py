"""What a range test of several seeds says: a band of rates, or that there is no signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from gainstage.errors import UsageError

Floats = NDArray[np.float64]

_START: Final = 10
"""The first of so many parts of a test stands for the loss before anything is learnt."""

WINDOW: Final = 20
"""Losses are smoothed over the so-manieth part of the steps."""

_SURE: Final = 3.0
"""Standard errors by which a fall must be deeper than the deepest that noise alone would make."""

_SHARE: Final = 0.02
"""Of the starting loss: a fall that is less is none, however sure."""


@dataclass(frozen=True, slots=True)
class RangeTest:
    """What came of a range test.

    Attributes:
        rates: of each step: [T].
        losses: [seeds, T]; NaN after a training has broken down.
        smooth: the same, smoothed, up to where it leaves the start for good: [seeds, T].
        falls: how far the smoothed loss of each seed falls below its start, or below chance where
            that is known and lower: [seeds].
        noise: the deepest fall that noise would make.
        band: from the smallest rate at which a seed's loss has surely fallen to the largest at
            which one is lowest; None where there is no signal.
    """

    rates: Floats
    losses: Floats
    smooth: Floats
    falls: Floats
    noise: float
    band: tuple[float, float] | None

    @property
    def suggestion(self) -> float | None:
        """The geometric middle of the band."""
        return None if self.band is None else math.sqrt(self.band[0] * self.band[1])

    @override
    def __str__(self) -> str:
        seeds, fell = len(self.falls), int((self.falls > self.noise).sum())
        depth = float(np.median(self.falls))
        if self.band is None:
            return (
                f"no signal: the loss falls by {depth:.3g} (median of {seeds} seeds), and noise "
                f"alone makes falls of {self.noise:.3g}; {fell} of {seeds} seeds fall further. "
                "No rate can be read from that."
            )
        return (
            f"rates {self.band[0]:.2g} to {self.band[1]:.2g} train (middle "
            f"{self.suggestion:.2g}): the loss falls by {depth:.3g} (median of {seeds} seeds; "
            f"noise makes {self.noise:.2g})"
        )


def judge(rates: Sequence[float] | Floats, losses: Any, chance: float = math.nan) -> RangeTest:
    """Read a band of rates from the losses of several seeds, if there is anything to read.

    Args:
        rates: of each step, ascending: [T].
        losses: [seeds, T]; NaN or infinite where a training had broken down.
        chance: loss of the best constant prediction; NaN if unknown.

    Raises:
        UsageError: there are too few steps, or seeds, to tell anything.

    Example:
        >>> rng, rates = np.random.default_rng(0), np.geomspace(1e-5, 10, 100)
        >>> judge(rates, 2.3 + 0.05 * rng.normal(size=(6, 100))).band is None
        True
    """
    rates, losses = np.asarray(rates, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2 or losses.shape[1] != len(rates) or len(rates) < 2 * WINDOW:
        msg = (
            f"A range test needs losses [seeds, steps] for at least {2 * WINDOW} steps, "
            f"but got {losses.shape} for {len(rates)} rates."
        )
        raise UsageError(msg)
    if len(losses) < 2:
        msg = "A range test of one seed cannot tell a fall from noise: give at least two."
        raise UsageError(msg)
    start, width = len(rates) // _START, max(len(rates) // WINDOW, 3)
    first = losses[:, :start]
    if not np.isfinite(first).all():
        msg = "The loss is not finite at the lowest rate already: there is nothing to test."
        raise UsageError(msg)
    level = first.mean(axis=1)
    sigma = math.sqrt(float(first.var(axis=1, ddof=1).mean()))
    reference = level if math.isnan(chance) else np.minimum(level, chance)
    smooth = np.array([_smoothed(row, width, top) for row, top in zip(losses, level, strict=True)])
    falls = reference - np.nanmin(smooth, axis=1)
    # the largest of n Gaussians is about sqrt(2 ln n)
    noise = sigma / math.sqrt(width) * (math.sqrt(2 * math.log(len(rates) / width)) + _SURE)
    noise = max(noise, _SHARE * float(np.abs(level).mean()))
    sure = (falls > noise).mean() > 0.5 and float(falls.mean()) > noise
    fell = falls > noise
    band = _band(rates, smooth[fell], reference[fell] - noise) if sure else None
    return RangeTest(rates, losses, smooth, falls, noise, band)


def _smoothed(losses: Floats, width: int, level: float) -> Floats:
    """Centred means; NaN from where the loss has left the start for good."""
    sound = np.where(np.isfinite(losses), losses, np.inf)
    half = width // 2
    means = np.array([sound[max(i - half, 0) : i + half + 1].mean() for i in range(len(sound))])
    lowest = int(np.argmin(means))
    gone = np.flatnonzero(means[lowest:] > level + abs(level - means[lowest]))
    end = lowest + int(gone[0]) if len(gone) else len(means)
    means[end:] = np.nan
    means[~np.isfinite(means)] = np.nan
    return means


def _band(rates: Floats, smooth: Floats, surely: Floats) -> tuple[float, float]:
    lows = [rates[np.flatnonzero(row < fall)[0]] for row, fall in zip(smooth, surely, strict=True)]
    highs = [rates[np.nanargmin(row)] for row in smooth]
    return float(min(lows)), float(max(highs))


def ramp(low: float, high: float, steps: int) -> Floats:
    """Rates that rise by the same factor at each step: [steps].

    Raises:
        UsageError: they do not rise.
    """
    if not (0 < low < high < math.inf and steps >= 2 * WINDOW):
        msg = (
            f"A range test goes from a positive rate to a larger one in at least {2 * WINDOW} "
            f"steps, and not from {low:g} to {high:g} in {steps}."
        )
        raise UsageError(msg)
    return np.geomspace(low, high, steps)
