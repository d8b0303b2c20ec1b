"""Expectations over a normal variable, to a stated error, of functions with kinks and jumps.

Gauss-Hermite, the usual choice, converges slowly for what networks use: a ReLU has a kink, tanh
has poles at +-i pi/2. Here the line is cut into panels, each is integrated by Gauss-Lobatto, and
a panel is cut in two as long as its parts disagree with the whole: so a kink is found, and cut at,
without being told of. The parts are unequal, for equal ones would agree with the whole about a
jump near its middle, and all be wrong; and the nodes include a panel's ends, or what happens
between the last node and the end would not be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import UsageError

Floats = NDArray[np.float64]

REACH: Final = 13
"""Standard deviations integrated over; beyond lies less than 1e-37 of the mass."""
TOLERANCE: Final = 1e-12
"""Error at which cutting stops, relative to the expectation of the absolute value."""
CUTS: Final = 90
_FIRST: Final = 0.4142
"""Share of the first part in a panel that is cut in two."""
_ROUNDING: Final = 1e-13
"""Of a panel's own size: differences below it are of the arithmetic."""


def _lobatto(n: int) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss-Lobatto on [-1, 1]: exact to degree 2n - 3."""
    polynomial = np.polynomial.Legendre.basis(n - 1)
    nodes = np.concatenate([[-1.0], np.sort(polynomial.deriv().roots().real), [1.0]])
    return nodes, 2 / (n * (n - 1) * polynomial(nodes) ** 2)


_NODES, _WEIGHTS = _lobatto(17)


class Expectation(NamedTuple):
    """An expectation, and how far it may be off.

    Attributes:
        value: [k].
        error: sum over the panels of the difference between a panel and its parts: [k].
    """

    value: Floats
    error: Floats


def expectation(
    function: Callable[[Floats], Floats], mean: float = 0.0, std: float = 1.0
) -> Expectation:
    """E f(x) for x ~ N(mean, std^2).

    Args:
        function: from x [m] to k values each [k, m].
        mean: of x.
        std: of x, positive.

    Raises:
        UsageError: the function is not finite somewhere, or has no expectation.

    Example:
        >>> relu = lambda x: np.maximum(x, 0.0)[None] ** 2
        >>> round(float(expectation(relu).value[0]), 12)
        0.5
    """
    edges = _edges(mean, std)
    left, width = edges[:-1], np.diff(edges)
    whole, size = _panels(function, left, width, mean, std)
    value, error = np.zeros(len(whole)), np.zeros(len(whole))
    total = size.sum(axis=1)
    for _ in range(CUTS):
        widths = np.concatenate([_FIRST * width, (1 - _FIRST) * width])
        starts = np.concatenate([left, left + _FIRST * width])
        parts, own = _panels(function, starts, widths, mean, std)
        first, second = np.split(parts, 2, axis=1)
        difference = np.abs(whole - first - second)
        enough = np.maximum(
            TOLERANCE / 100 * total[:, None], _ROUNDING * np.add(*np.split(own, 2, axis=1))
        )
        open_ = (difference > enough).any(axis=0)
        value += (first + second)[:, ~open_].sum(axis=1)
        error += difference[:, ~open_].sum(axis=1)
        if not open_.any():
            return Expectation(value, error + 1e-16 * total)
        keep = np.concatenate([open_, open_])
        left, width, whole = starts[keep], widths[keep], parts[:, keep]
    return Expectation(value + whole.sum(axis=1), error + np.abs(whole).sum(axis=1))


def _edges(mean: float, std: float) -> Floats:
    """Where panels begin: a standard deviation apart, and closer where activations bend.

    What a function does near x = 0 is narrow for a wide input: without panels of its own size
    there, a panel and its parts could agree on having missed it.
    """
    bends = np.concatenate([-(2.0 ** np.arange(-4, 11)), [0.0], 2.0 ** np.arange(-4, 11)])
    own = (bends - mean) / std
    grid = np.arange(-REACH, REACH + 1, dtype=np.float64)
    edges = np.unique(np.concatenate([grid, own[np.abs(own) < REACH]]))
    apart: Floats = edges[np.concatenate([[True], np.diff(edges) > 1e-12])]
    return apart


def _panels(
    function: Callable[[Floats], Floats], left: Floats, width: Floats, mean: float, std: float
) -> tuple[Floats, Floats]:
    """Integral over each panel of f times the density, and of its absolute value: [k, panels]."""
    z = left[:, None] + width[:, None] * (_NODES + 1) / 2
    values = function(mean + std * z.ravel())
    if not np.isfinite(values).all():
        at = (mean + std * z.ravel())[~np.isfinite(values).all(axis=0)][0]
        msg = f"The function is not finite at {at:.4g}, so it has no gain."
        raise UsageError(msg)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * _WEIGHTS * width[:, None] / 2
    values = values.reshape(len(values), *z.shape)
    return (values * density).sum(axis=2), (np.abs(values) * density).sum(axis=2)
