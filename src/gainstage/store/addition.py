"""How the numbers of several ranks add up, step by step: the formula of ``sketch.rows.add``.

Free of torch and numba, for the reading half. Numbers are float64 [T] by quantity; a step at which
a rank measured nothing is NaN there and takes no part. Parts come one after the other, so that the
memory does not grow with the ranks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
TOLERANCE: Final = 1e-6
"""Relative difference from which on two ranks disagree about what should be the same."""

Moments = Mapping[str, Numbers]
"""The quantities of :data:`gainstage.quantities.SUMMARY_KEYS`, each float64 [T]."""


def add_moments(parts: Iterable[Moments]) -> Moments:
    """Moments of all parts' elements together (Chan, Golub & LeVeque 1979).

    Args:
        parts: at least one.

    Example:
        >>> one = dict(count=2.0, mean=0.0, rms=1.0, std=1.0, l2=2**0.5, min=-1.0, max=1.0,
        ...            zero_share=0.0, nan=0.0, inf=0.0, rms_error=0.0)
        >>> a = {key: np.array([value]) for key, value in one.items()}
        >>> both = add_moments([a, {**a, "mean": np.array([3.0])}])
        >>> both["count"].tolist(), both["mean"].tolist(), both["l2"].tolist()
        ([4.0], [1.5], [2.0])
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return functools.reduce(_add, parts)


def _add(a: Moments, b: Moments) -> Moments:
    mine, theirs = _finite(a), _finite(b)
    none, alone = mine == 0, theirs == 0
    share = theirs / (mine + theirs)
    delta = b["mean"] - a["mean"]
    mean = a["mean"] + delta * share
    # hypot scales, so that no square leaves float64's range
    within = np.hypot(a["std"] * np.sqrt(1 - share), b["std"] * np.sqrt(share))
    std = np.hypot(within, delta * np.sqrt(share * (1 - share)))
    together = {
        "mean": mean,
        "std": std,
        "min": np.minimum(a["min"], b["min"]),
        "max": np.maximum(a["max"], b["max"]),
        "rms_error": _error(a, b, share),
    }
    found = {
        key: np.where(none, b[key], np.where(alone, a[key], value))
        for key, value in together.items()
    }
    found["rms"] = np.hypot(found["mean"], found["std"])
    found["l2"] = np.hypot(np.nan_to_num(a["l2"], nan=0.0), np.nan_to_num(b["l2"], nan=0.0))
    for key in ("count", "nan", "inf"):
        found[key] = np.nan_to_num(a[key]) + np.nan_to_num(b[key])
    zeros = _zeros(a) + _zeros(b)
    found["zero_share"] = zeros / found["count"]
    missing = np.isnan(a["count"]) & np.isnan(b["count"])
    return {key: np.where(missing, np.nan, value) for key, value in found.items()}


def _finite(part: Moments) -> Numbers:
    return np.nan_to_num(part["count"] - part["nan"] - part["inf"])


def _zeros(part: Moments) -> Numbers:
    return np.rint(np.nan_to_num(part["zero_share"] * part["count"]))


def _error(a: Moments, b: Moments, share: Numbers) -> Numbers:
    """Errors of mean squares add as variances do."""
    scale = np.maximum(a["rms"], b["rms"])
    mine = (1 - share) * (a["rms"] / scale) ** 2
    theirs = share * (b["rms"] / scale) ** 2
    wrong = np.hypot(mine * a["rms_error"], theirs * b["rms_error"])
    return np.where(mine + theirs > 0, wrong / (mine + theirs), 0.0)


def weighted(values: Iterable[Numbers], weights: Iterable[Numbers]) -> Numbers:
    """Mean over the ranks that have a value: float64 [T]; equal weights where all are zero."""
    shares = (_share(value, weight) for value, weight in zip(values, weights, strict=True))
    total, weight, plain, known = functools.reduce(np.add, shares)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(weight > 0, total / weight, plain / known))


def _share(value: Numbers, weight: Numbers) -> Numbers:
    """What a rank adds to the four sums of a mean: [4, T]."""
    known = ~np.isnan(value)
    value, weight = np.where(known, value, 0.0), np.where(known, np.nan_to_num(weight), 0.0)
    return np.stack([value * weight, weight, value, known])


def mean(values: Iterable[Numbers]) -> Numbers:
    """Plain mean over the ranks that have a value."""
    sums = functools.reduce(np.add, (_share(value, np.ones_like(value)) for value in values))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[0] / sums[1])


def first(values: Iterable[Numbers]) -> Numbers:
    """The value of the first rank that has one; no more ranks are asked than it takes."""
    ranks = iter(values)
    found = next(ranks)
    while (missing := np.isnan(found)).any() and (value := next(ranks, None)) is not None:
        found = np.where(missing, value, found)
    return found


def least(values: Iterable[Numbers]) -> Numbers:
    """The smallest value."""
    return functools.reduce(np.fmin, values)


def largest(values: Iterable[Numbers]) -> Numbers:
    """The largest value."""
    return functools.reduce(np.fmax, values)


def total(values: Iterable[Numbers]) -> Numbers:
    """The sum over the ranks that have a value; NaN if none has."""
    return functools.reduce(
        lambda a, b: np.where(np.isnan(a), b, np.where(np.isnan(b), a, a + b)), values
    )


def apart(values: Iterable[Numbers]) -> NDArray[np.bool_]:
    """At which steps the ranks' values differ by more than rounding: [T]."""
    ranks = iter(values)
    low = high = next(ranks)
    for value in ranks:
        low, high = np.fmin(low, value), np.fmax(high, value)
    return np.asarray(high - low > TOLERANCE * np.maximum(np.abs(low), np.abs(high)))
