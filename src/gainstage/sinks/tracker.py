"""What the trackers share: the registry, the import of an optional package, buckets for a chart."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import MissingExtraError
from gainstage.registry import Registry
from gainstage.sinks.reading import Sink
from gainstage.sketch import Histogram

TRACKERS: Final[Registry[Callable[..., Sink]]] = Registry("tracker", "gainstage.sinks.trackers")
"""Makes a sink; the first argument is the place: a folder, or what it calls a project."""


def load(module: str, tracker: str, command: str) -> ModuleType:
    """Import a tracker's package.

    Args:
        module: its dotted name.
        tracker: the name that users know.
        command: what installs it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"A sink for {tracker} needs its package: run `{command}`."
        raise MissingExtraError(msg) from error


def buckets(
    histogram: Histogram, most: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A histogram of finite elements as charts want it: buckets that touch each other.

    A stretch of empty bins is one empty bucket. The two bins around zero are one bucket.

    Args:
        histogram: its non-finite elements are left out.
        most: merge neighbours until there are at most so many buckets.

    Returns:
        Ascending edges float64 [B + 1] and counts int64 [B]; a single edge where it is empty.

    Example:
        >>> edges, counts = buckets(Histogram.of(np.array([1.0, 1.0, 4.0], dtype=np.float32)))
        >>> edges.tolist(), counts.tolist()
        ([1.0, 1.125, 4.0, 4.5], [2, 0, 1])
    """
    low, high, counts = histogram.ordered()
    full = np.flatnonzero(counts)
    if not len(full):
        return np.zeros(1), np.zeros(0, dtype=np.int64)
    edges = np.unique(np.concatenate([low[full], high[full]]))
    held = np.zeros(len(edges) - 1, dtype=np.int64)
    np.add.at(held, np.searchsorted(edges, low[full]), counts[full])
    if most is not None and len(held) > most:
        starts = np.arange(0, len(held), -(-len(held) // most))
        held = np.add.reduceat(held, starts)
        edges = np.append(edges[starts], edges[-1])
    return edges, held
