"""Optimisers on surfaces: the map, and the way of an optimiser across it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gainstage import optim
from gainstage.errors import UnknownNameError, UsageError
from gainstage.landscape import SURFACES, Race, Surface, line_fit, race
from gainstage.landscape.linefit import KNEES, LOSSES
from gainstage.questions import Descent, Settings, Terrain, given
from gainstage.views.view import Numbers, numbers

OPTIMIZERS: Final[dict[str, type[optim.Reference]]] = {
    name: one
    for name, one in sorted(vars(optim).items())
    if inspect.isclass(one) and issubclass(one, optim.Reference) and one is not optim.Reference
}
"""By class name: whatever ``gs.optim`` has."""

LINES: Final = {f"line-fit-{loss.replace('_', '-')}": loss for loss in LOSSES}
"""The surfaces that are the loss of a line, and torch's name of that loss."""

_SIZE: Final = 121
_BANDS: Final = 18
_EXACT: Final = 9
"""Digits that tell every float32 from every other."""

_STILL: Final = 1e-3
_TRIAL: Final = 100
_RATES: Final = tuple(digit * 10.0**power for power in range(-6, 1) for digit in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Map:
    """A surface from above, and where to begin on it.

    Attributes:
        name: of the surface.
        about: what it is like.
        source: where it comes from.
        axes: what the coordinates are called.
        x: [size] along the first axis.
        y: [size] along the second.
        values: [size of y][size of x].
        heights: rising values between which a shade is drawn.
        optima: the points of least value that lie at finite coordinates.
        start: where to begin.
        rates: learning rates to begin with, of optimisers that do not divide by the gradient's
            size, and of those that do.
    """

    name: str
    about: str
    source: str
    axes: tuple[str, str]
    x: Numbers
    y: Numbers
    values: tuple[Numbers, ...]
    heights: Numbers
    optima: tuple[Numbers, ...]
    start: tuple[float, float]
    rates: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Way:
    """Where an optimiser went.

    Attributes:
        x: first coordinate before each step; None from where it has left the finite numbers.
        y: second coordinate.
        values: of the surface there.
        diverged: whether it has left the finite numbers.
        lost: steps after which coordinates or value were not finite any more; None if they stayed.
        outside: steps after which it lay outside the map for good; None if it ended inside.
        arrived: step from which on it stays near an optimum; None if it does not.
        resting: whether it hardly moves any more: within a thousandth of the map's diagonal over
            the last tenth of the steps.
        flips: how often each coordinate turned round.
        code: the call that computes the same.
    """

    x: Numbers
    y: Numbers
    values: Numbers
    diverged: bool
    lost: int | None
    outside: int | None
    arrived: int | None
    resting: bool
    flips: tuple[int, int]
    code: str


def surface_of(name: str, knee: float) -> Surface:
    """A surface by its name on the page: one of the registry, or the loss of a line.

    Raises:
        UnknownNameError: there is no such surface.
    """
    return line_fit(LINES[name], knee) if name in LINES else SURFACES[name]


def knee_of(name: str) -> str:
    """What torch calls the knee of that surface's loss; ``""`` if it has none."""
    return KNEES.get(LINES.get(name, ""), "")


def arguments(optimizer: str) -> dict[str, Any]:
    """The settings that an optimiser has, with its defaults.

    Raises:
        UnknownNameError: there is no such optimiser.

    Example:
        >>> arguments("EMA")
        {'lr': 0.01, 'beta': 0.9, 'weight_decay': 0.0, 'bias_correction': False}
    """
    parameters = inspect.signature(_class_of(optimizer)).parameters
    known = [name for name in Settings.__struct_fields__ if name in parameters]
    return {name: parameters[name].default for name in known}


def factory(optimizer: str, settings: Settings) -> Callable[[list[torch.nn.Parameter]], Any]:
    """What makes the optimiser of some parameters.

    Raises:
        UnknownNameError: there is no such optimiser.
        UsageError: it has no such argument.
    """
    found, has = _class_of(optimizer), arguments(optimizer)
    chosen = given(settings)
    for name in chosen:
        if name not in has:
            msg = f"{optimizer} has no argument {name!r}; it has: {', '.join(has)}."
            raise UsageError(msg)
    return lambda parameters: found(parameters, **chosen)


def run(question: Descent) -> Race:
    """The race of the one optimiser, by :func:`gainstage.landscape.race`.

    Raises:
        GainstageError: a name or an argument does not fit; the message says which.
    """
    surface = surface_of(question.surface, question.knee)
    make = factory(question.optimizer, question.settings)
    return race(surface, {question.optimizer: make}, question.start, question.steps)


def descend(question: Descent) -> Way:
    """The way of an optimiser, as plain data.

    Raises:
        GainstageError: a name or an argument does not fit; the message says which.
    """
    result = run(question)
    path, values = result.trajectories[0, 0], result.values[0, 0]
    finite = path.isfinite().all(-1) & values.isfinite()
    low, high = torch.tensor(result.surface.domain).T
    inside = ((path >= low) & (path <= high)).all(-1)
    arrived = int(result.steps_to_optimum()[0, 0])
    flips = result.sign_flips()[0, 0].tolist()
    last = path[-max(question.steps // 10, 2) :]
    moved = (last.amax(0) - last.amin(0)).norm() / (high - low).norm()
    return Way(
        x=numbers(path[:, 0].numpy(), _EXACT),
        y=numbers(path[:, 1].numpy(), _EXACT),
        values=numbers(values.numpy(), _EXACT),
        diverged=bool(result.diverged[0, 0]),
        lost=_since(~finite),
        outside=_since(~inside),
        arrived=None if arrived < 0 else arrived,
        resting=bool(moved < _STILL),
        flips=(flips[0], flips[1]),
        code=code(question),
    )


def survey(question: Terrain) -> Map:
    """The map of a surface, as plain data.

    Raises:
        UnknownNameError: there is no such surface.
    """
    surface = surface_of(question.surface, question.knee)
    x, y, values = surface.map(_SIZE)
    start = _start(surface)
    return Map(
        name=question.surface,
        about=inspect.getdoc(surface.function) or "",
        source=surface.source,
        axes=surface.axes,
        x=numbers(x.numpy()),
        y=numbers(y.numpy()),
        values=tuple(numbers(row, 5) for row in values.numpy()),
        heights=numbers(_heights(values.numpy())),
        optima=tuple(numbers(point) for point in surface.optima if all(map(math.isfinite, point))),
        start=start,
        rates=(_plain_rate(surface, start), _scaled_rate(surface)),
    )


def code(question: Descent) -> str:
    """The call of the library that computes what a question asks for."""
    name = f'"{question.surface}"'
    if question.surface in LINES:
        knee = f", {question.knee:g}" if knee_of(question.surface) else ""
        name = f'gs.landscape.line_fit("{LINES[question.surface]}"{knee})'
    told = ", ".join(f"{key}={_written(value)}" for key, value in given(question.settings).items())
    x, y = question.start
    return (
        f"gs.landscape.race({name}, "
        f'{{"{question.optimizer}": lambda p: gs.optim.{question.optimizer}(p, {told})}}, '
        f"({x:g}, {y:g}), {question.steps})"
    )


def _heights(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Heights of contours that keep a distance in height and in area: values span decades."""
    rising = np.sort(values, axis=None).astype(np.float64)
    high = (rising - rising[0]) / max(rising[-1] - rising[0], 1e-30)
    wide = np.linspace(0, 1, len(rising))
    return np.interp(np.linspace(0, 1, _BANDS + 1), (high + wide) / 2, rising)


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))})"
    return repr(value) if isinstance(value, bool) else f"{value:g}"


def _class_of(optimizer: str) -> type[optim.Reference]:
    if optimizer not in OPTIMIZERS:
        msg = f"There is no optimiser named {optimizer!r}. There are: {', '.join(OPTIMIZERS)}."
        raise UnknownNameError(msg)
    return OPTIMIZERS[optimizer]


def _since(flags: Tensor) -> int | None:
    """The first step from which on all are flagged to the end."""
    held = flags.flip(0).int().cummin(0).values.flip(0)
    return int(held.argmax()) if bool(held.any()) else None


def _start(surface: Surface) -> tuple[float, float]:
    """A point in the upper left of the map, to two digits."""
    (left, right), (bottom, top) = surface.domain
    x, y = left + 0.15 * (right - left), bottom + 0.85 * (top - bottom)
    return float(f"{x:.2g}"), float(f"{y:.2g}")


def _plain_rate(surface: Surface, start: tuple[float, float]) -> float:
    """The rate, 1, 2 or 5 times a power of ten, with which plain descent stays lowest."""
    rates = torch.tensor(_RATES)[:, None]
    points = torch.tensor(start).repeat(len(_RATES), 1)
    seen = []
    for _ in range(_TRIAL):
        seen.append(surface(points))
        points = points - rates * surface.gradient(points)
    last = torch.stack(seen[-_TRIAL // 5 :]).nan_to_num(nan=math.inf).amax(0)
    return _RATES[int(last.argmin())]


def _scaled_rate(surface: Surface) -> float:
    """About a hundredth of the map's diagonal, for optimisers whose steps are about the rate."""
    wide = math.hypot(*(high - low for low, high in surface.domain)) / 100
    return max(rate for rate in _RATES if rate <= wide)
