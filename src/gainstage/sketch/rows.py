"""A reading as a row of numbers, so that a step of many tensors costs no objects.

The kernels write such rows, the recorder merges them and turns them into frames. For one tensor
alone :class:`gainstage.sketch.Summary` says the same in words.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.quantities import SUMMARY_KEYS
from gainstage.sketch.compile import jit
from gainstage.sketch.summary import Summary

COUNT: Final = 0
"""Elements read, those that are not finite included."""
MEAN: Final = 1
DEVIATIONS: Final = 2
"""Sum of squared deviations from the mean."""
MIN: Final = 3
MAX: Final = 4
ZEROS: Final = 5
NAN: Final = 6
INF: Final = 7
SIZE: Final = 8
"""Elements of the tensor, of which COUNT were read."""
ERROR: Final = 9
"""Relative standard error of the root mean square; 0 where every element was read."""
WIDTH: Final = 10

Row = NDArray[np.float64]
Rows = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.uint8]

_KEYS: Final = len(SUMMARY_KEYS)


def new(n: int) -> Rows:
    """Rows of `n` readings, nothing read yet: float64 [n, WIDTH]."""
    return np.zeros((n, WIDTH))


def summary(row: Row) -> Summary:
    """A row in words.

    Example:
        >>> row = np.array([4.0, 0.5, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 400.0, 0.01])
        >>> summary(row).std, summary(row).sample_of
        (0.5, 400)
    """
    count, mean, squares, low, high, zeros, nan, infinite, size, error = row.tolist()
    finite = count - nan - infinite
    return Summary(
        count=int(count),
        mean=mean if finite else math.nan,
        std=math.sqrt(squares / finite) if finite else math.nan,
        min=low if finite else math.nan,
        max=high if finite else math.nan,
        zeros=int(zeros),
        nan=int(nan),
        inf=int(infinite),
        sample_of=int(size) if size > count else 0,
        rms_error=error,
    )


def from_summary(found: Summary, row: Row) -> None:
    """Write a summary as a row."""
    finite = found.finite
    spread = found.std * found.std * finite if finite else 0.0
    row[:] = (
        found.count,
        found.mean,
        spread,
        found.min,
        found.max,
        found.zeros,
        found.nan,
        found.inf,
        found.size,
        found.rms_error,
    )


@jit()
def add(into: Row, other: Row) -> None:  # pragma: no cover
    """Merge a reading into another (Chan, Golub & LeVeque 1979)."""
    n = into[COUNT] - into[NAN] - into[INF]
    m = other[COUNT] - other[NAN] - other[INF]
    if n == 0:
        for i in (MEAN, DEVIATIONS, MIN, MAX, ERROR):
            into[i] = other[i]
    elif m > 0:
        if into[ERROR] != 0 or other[ERROR] != 0:  # errors of mean squares add as variances do
            mine = n * into[MEAN] ** 2 + into[DEVIATIONS]
            theirs = m * other[MEAN] ** 2 + other[DEVIATIONS]
            wrong = np.hypot(mine * into[ERROR], theirs * other[ERROR])
            into[ERROR] = wrong / (mine + theirs) if mine + theirs > 0 else 0.0
        delta = other[MEAN] - into[MEAN]
        into[MEAN] += delta * (m / (n + m))
        into[DEVIATIONS] += other[DEVIATIONS] + delta * delta * (n / (n + m)) * m
        into[MIN] = min(into[MIN], other[MIN])
        into[MAX] = max(into[MAX], other[MAX])
    for i in (COUNT, ZEROS, NAN, INF, SIZE):
        into[i] += other[i]


@jit()
def take(  # pragma: no cover
    pool: Rows, places: Numbers, sites: Numbers, rows: Rows, taken: Flags, anew: bool
) -> None:
    """Move readings to their sites; those of a site that has one already are merged.

    Args:
        pool: where the readings are; one whose COUNT is NaN is none.
        places: int64 [n]: which of them.
        sites: int64 [n]: the site each belongs to.
        rows: one a site.
        taken: uint8, one a site: whether this step has a reading there.
        anew: what this step has at these sites is dropped first.
    """
    if anew:
        for i in range(sites.size):
            taken[sites[i]] = 0
    for i in range(places.size):
        source, site = places[i], sites[i]
        if np.isnan(pool[source, COUNT]):
            continue
        if taken[site]:
            add(rows[site], pool[source])
        else:
            rows[site, :] = pool[source]
            taken[site] = 1


@jit()
def scatter(  # pragma: no cover
    numbers: NDArray[np.float64], chosen: Numbers, columns: Numbers, frame: NDArray[np.float64]
) -> None:
    """Write chosen numbers into columns of a frame."""
    for i in range(chosen.size):
        frame[columns[i]] = numbers[chosen[i]]


@jit()
def write(  # pragma: no cover
    rows: Rows, taken: Flags, columns: Numbers, frame: NDArray[np.float64]
) -> None:
    """Write the sites' readings into a frame, in the order of the summary's quantities.

    Args:
        rows: one a site.
        taken: uint8, one a site: those without a reading are left as they are.
        columns: int64, one a site: its first column.
        frame: float64, gets the numbers.
    """
    numbers = np.empty(_KEYS)
    for site in range(taken.size):
        if not taken[site]:
            continue
        row = rows[site]
        n = row[COUNT] - row[NAN] - row[INF]
        some = n > 0
        mean = row[MEAN] if some else np.nan
        std = np.sqrt(row[DEVIATIONS] / n) if some else np.nan
        rms = np.hypot(mean, std)
        numbers[0] = row[COUNT]
        numbers[1] = mean
        numbers[2] = rms
        numbers[3] = std
        numbers[4] = norm(row)
        numbers[5] = row[MIN] if some else np.nan
        numbers[6] = row[MAX] if some else np.nan
        numbers[7] = row[ZEROS] / row[COUNT] if row[COUNT] > 0 else np.nan
        numbers[8] = row[NAN]
        numbers[9] = row[INF]
        numbers[10] = row[ERROR]
        first = columns[site]
        for i in range(_KEYS):
            frame[first + i] = numbers[i]


@jit()
def norm(row: Row) -> float:  # pragma: no cover
    """Euclidean norm of the whole tensor: of a sampled one, as its sample has it."""
    n = row[COUNT] - row[NAN] - row[INF]
    if n == 0:
        return 0.0
    rms = np.hypot(row[MEAN], np.sqrt(row[DEVIATIONS] / n))
    return float(rms * np.sqrt(row[SIZE] * (n / row[COUNT])))


@jit()
def norm_of_all(rows: Rows, taken: Flags, chosen: Numbers) -> float:  # pragma: no cover
    """Euclidean norm over the tensors of several sites; NaN if none has a reading."""
    total = 0.0
    found = False
    for i in range(chosen.size):
        if taken[chosen[i]]:
            total = np.hypot(total, norm(rows[chosen[i]]))
            found = True
    return total if found else np.nan
