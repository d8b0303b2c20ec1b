"""Which rank the others wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.records import Event
from gainstage.store.addition import Numbers

_FIRST: Final = 16
"""Steps that are left out: caches fill, workers start."""

_FEWEST: Final = 64
"""Steps that it takes to tell a slow rank from a slow moment."""

_PARTS: Final = 4
"""In each of so many parts of the training a rank is behind, or it is none that stays so."""

SLOWER: Final = 1.25
"""Times the others' own work, from which on a rank is a straggler."""

WAITED: Final = 0.1
"""Share of a step that the others wait at least."""


def typical(values: Numbers) -> NDArray[np.float64] | None:
    """A rank's seconds of own work in a typical step of each part of a training: [_PARTS].

    Args:
        values: its seconds, step by step: float64 [T].
    """
    known = values[_FIRST:][~np.isnan(values[_FIRST:])]
    if len(known) < _FEWEST:
        return None
    return np.array([np.median(part) for part in np.array_split(known, _PARTS)])


def stragglers(work: Mapping[int, NDArray[np.float64]], seconds: float) -> list[Event]:
    """The ranks that are slower than the rest throughout, as one event; none if there is none.

    Args:
        work: what :func:`typical` says of each rank.
        seconds: of a typical step.

    Example:
        >>> slow, fast = np.full(4, 0.05), np.full(4, 0.02)
        >>> (event,) = stragglers({0: fast, 1: slow, 2: fast}, seconds=0.1)
        >>> event.data["ranks"], round(event.data["waited"], 3)
        ([1], 0.03)
        >>> stragglers({0: fast, 1: fast, 2: fast}, seconds=0.1)
        []
    """
    if len(work) < 2:
        return []
    ranks, table = list(work), np.stack(list(work.values()))
    others = np.sort(table, axis=0)[: (len(ranks) + 1) // 2].max(
        axis=0
    )  # the faster half's slowest
    behind = (table > SLOWER * others).all(axis=1)
    waited = np.median(table - others, axis=1)
    found = np.flatnonzero(behind & (waited > WAITED * seconds))
    if not len(found):
        return []
    worst = found[np.argmax(waited[found])]
    data = {
        "ranks": [ranks[i] for i in found],
        "rank": ranks[worst],
        "own_seconds": float(np.median(table[worst])),
        "others_seconds": float(np.median(others)),
        "waited": float(waited[worst]),
        "step_seconds": seconds,
    }
    return [Event(_FIRST, "straggler", "", data)]
