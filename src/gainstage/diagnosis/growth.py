"""How a level runs along the stages of a network, and from call to call of one stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

CALLS: Final = 8
"""Calls of a stage in one step from which it counts as unrolled in time."""

SWOLLEN_DB: Final = 30.0
"""Growth of the signal, before the first step, that no sound initialisation gives by chance: that
of ten layers of 32 units has a standard deviation of 5 dB (Hanin & Nica 2020)."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How the level runs through the stages, relative to the first.

    Attributes:
        lowest: smallest level in dB, with its stage and how many stages lie between.
        highest: largest level in dB, likewise.
        last: the last one's.
    """

    lowest: float
    lowest_site: str
    lowest_stages: int
    highest: float
    highest_site: str
    highest_stages: int
    last: float


@dataclass(frozen=True, slots=True)
class Growth:
    """How the level of one stage grows from call to call.

    Attributes:
        db: growth from the first call to the last, beyond what adding up explains.
        name: of the stage.
        calls: how many.
    """

    db: float
    name: str
    calls: int


def along_stages(levels: Sequence[tuple[str, float]]) -> Gain | None:
    """Compare the levels of stages with the first one's; None for fewer than two.

    Args:
        levels: name and level in dB of each stage, in order; NaN where unknown.

    Example:
        >>> gain = along_stages([("0", -3.0), ("2", 9.0), ("4", 21.0)])
        >>> gain.highest, gain.highest_site, gain.highest_stages
        (24.0, '4', 2)
    """
    known = [(name, level) for name, level in levels if np.isfinite(level)]
    if len(known) < 2:
        return None
    relative = [level - known[0][1] for _, level in known]
    low, high = int(np.argmin(relative)), int(np.argmax(relative))
    return Gain(
        relative[low],
        known[low][0],
        max(low, 1),
        relative[high],
        known[high][0],
        max(high, 1),
        relative[-1],
    )


def along_calls(name: str, levels: Sequence[float]) -> Growth | None:
    """How the level grows from call to call; None for fewer than :data:`CALLS`.

    A state that adds up n equal parts ends 20 log10(n) dB above the first of them, and so does a
    gradient that collects one part from each step; what grows by a factor at each call leaves that
    behind.

    Args:
        name: of the stage.
        levels: in dB, of each call; NaN where unknown.

    Example:
        >>> growth = along_calls("cell", [2.0 * call for call in range(50)])
        >>> round(growth.db), growth.calls
        (64, 50)
    """
    known = [level for level in levels if np.isfinite(level)]
    if len(known) < CALLS:
        return None
    return Growth(known[-1] - known[0] - 20 * float(np.log10(len(known))), name, len(known))
