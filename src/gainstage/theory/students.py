"""Student's t: how wide an interval of a mean over few seeds is ("Student" 1908)."""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_WIDEST: Final = 1e7


@functools.cache
def quantile(level: float, degrees: int) -> float:
    """Half the width of a two-sided interval, in standard errors.

    Args:
        level: that it holds the truth, between 0 and 1, for example 0.95.
        degrees: of freedom, at least 1: seeds minus one.

    Example:
        >>> [round(quantile(0.95, n), 3) for n in (1, 2, 5, 30)]
        [12.706, 4.303, 2.571, 2.042]
    """
    low, high = 0.0, _WIDEST
    while high - low > 1e-9 * max(high, 1.0):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, degrees) < level else (low, middle)
    return (low + high) / 2


def _inside(x: float, degrees: int) -> float:
    """Probability that ``|t| < x``: with ``t = sqrt(n) tan(a)`` its density is a power of cos."""
    end = math.atan(x / math.sqrt(degrees))
    angles = end / 2 * (_NODES + 1)
    whole = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    inside = end / 2 * float(_WEIGHTS @ np.cos(angles) ** (degrees - 1))
    return 2 * whole / math.sqrt(math.pi) * inside
