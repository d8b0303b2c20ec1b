"""Units (channels, features) of a stage: dead ones, saturated ones; features of inputs."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gainstage.sketch.units import WINDOW, Shape, look, share_outside

_REST: Final = WINDOW // 2
_PAUSE: Final = 4
"""Turns after which units that show themselves are looked for again, and silent ones."""

_MOST_LOOKED_AT: Final = 65_536
"""Elements of one stage and turn, where not every one is looked at."""

_MOST_ELSEWHERE: Final = 1 << 20
"""The same on another device, which looks also at what showed itself in the meantime."""

LINEAR_RANGE: Final[dict[str, tuple[float, float]]] = {
    "tanh": (-0.97, 0.97),
    "sigmoid": (0.03, 0.97),
}
"""Outputs of a bounded activation outside this range count as saturated."""

_CHANNELS_FIRST: Final = (
    nn.modules.conv._ConvNd,  # noqa: SLF001 - the common base of all convolutions
    nn.modules.batchnorm._NormBase,  # noqa: SLF001
    nn.GroupNorm,
    nn.modules.pooling._MaxPoolNd,  # noqa: SLF001
    nn.modules.pooling._AvgPoolNd,  # noqa: SLF001
)


_FEATURES_LAST: Final = (nn.Linear, nn.Bilinear, nn.Embedding)
_OWN: Final = {
    "linear": -1,
    "matmul": -1,
    "embedding": -1,
    "layer_norm": -1,
    "conv": 1,
    "batch_norm": 1,
    "group_norm": 1,
}
"""The same of functional calls."""


def own_axis(module: nn.Module | None, op: str) -> int | None:
    """The axis of a stage's units whatever the number of axes: 1, or -1 for the last.

    Args:
        module: what makes the outputs, if one does.
        op: the operation.

    Returns:
        None where it depends on what the stage is applied to.
    """
    if isinstance(module, _CHANNELS_FIRST):
        return 1
    # a norm that is derived from torch's may turn images before and after
    if isinstance(module, _FEATURES_LAST) or type(module) is nn.LayerNorm:
        return -1
    return _OWN.get(op) if module is None else None


def unit_axis(shape: tuple[int, ...], own: int | None = None) -> int | None:
    """The axis that numbers a stage's units: 1 for images, the last for everything else.

    Args:
        shape: of the stage's output, samples first.
        own: what :func:`own_axis` says.

    Returns:
        None for fewer than two axes.
    """
    if len(shape) < 2:
        return None
    last = len(shape) - 1
    if own is not None:
        return last if own < 0 else own
    return 1 if len(shape) >= 4 else last


def unit_shape(shape: tuple[int, ...], axis: int) -> Shape:
    """Samples, units and positions of a tensor whose units lie along `axis`: 1, or the last.

    Example:
        >>> unit_shape((32, 16, 7, 7), 1), unit_shape((32, 10, 64), 2)
        ((32, 16, 49), (320, 64, 1))
    """
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def by_unit(tensor: Tensor, axis: int) -> NDArray[np.float32]:
    """The elements as float32 [samples, units, positions] on the CPU, without a copy if dense."""
    if axis == tensor.dim() - 1:
        shaped = tensor.reshape(-1, tensor.shape[-1], 1)
    else:
        shaped = tensor.reshape(tensor.shape[0], tensor.shape[1], -1)
    array: NDArray[np.float32] = shaped.detach().float().resolve_neg().contiguous().cpu().numpy()
    return array


class UnitWatch:
    """Shares of dead and of saturated units of one stage, over the last :data:`WINDOW` turns.

    A unit is dead when it was zero for every sample of every turn of the window, saturated when
    it was outside its activation's linear range for every one.

    Args:
        units: how many there are.
        op: the operation that made them.
        exact: look at every unit and sample at every turn. Otherwise a unit that showed itself
            is left alone for half a window, and a silent one is looked for at every fourth turn,
            in part of the samples.

    Attributes:
        units: how many there are.
        bounds: the linear range of the activation, if it has one.
        busy_from: the turn from which on there is something to look at.
        found: the shares, by quantity.
    """

    def __init__(self, units: int, op: str, *, exact: bool) -> None:
        self.units = units
        self.op = op
        self._exact = exact
        self._alive = np.full(units, -1, dtype=np.int64)
        self.bounds = LINEAR_RANGE.get(op)
        self._loose = np.full(units, -1, dtype=np.int64) if self.bounds else None
        self.busy_from = 0
        self.found: dict[str, float] = {}

    def see(self, x: NDArray[np.float32] | int, shape: Shape, turn: int) -> dict[str, float]:
        """Take in what the units put out at a turn (again, for a micro-batch).

        Args:
            x: float32 [samples, units, positions], or its address.
            shape: these three.
            turn: number of the measured step.

        Returns:
            The shares by quantity.
        """
        pointer = x if isinstance(x, int) else x.ctypes.data
        if turn >= self.busy_from:
            self._look(pointer, shape, turn)
        if self._exact and self.bounds is not None:
            size = shape[0] * shape[1] * shape[2]
            self.found["saturated"] = share_outside(pointer, size, self.bounds)
        return self.found

    def _look(self, pointer: int, shape: Shape, turn: int) -> None:
        when = (turn, 1, 0) if self._exact else (turn, _REST, _MOST_LOOKED_AT)
        silent = self.found["dead_units"] = look(pointer, shape, (0.0, 0.0), when, self._alive)
        last = self._alive
        if self._loose is not None and self.bounds is not None:
            stuck = look(pointer, shape, self.bounds, when, self._loose)
            self.found["saturated_units"] = stuck
            silent += stuck
            last = np.minimum(last, self._loose)
        if not self._exact:  # nobody is to be looked for until the first has had its rest
            self.busy_from = turn + _PAUSE if silent else int(last.min()) + _REST


class UnitsElsewhere:
    """The same shares of a stage on another device, which is not waited for.

    Args:
        units: how many there are.
        op: the operation that made them.
        exact: look at every sample at every turn; otherwise at part of them at every fourth.

    Attributes:
        units: how many there are.
        bounds: the linear range of the activation, if it has one.
        found: the shares, by quantity: [1] each, on the device.

    Example:
        >>> watch = UnitsElsewhere(2, "relu", exact=True)
        >>> watch.see(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), 1, 0)
        {'dead_units': tensor([0.5000])}
    """

    def __init__(self, units: int, op: str, *, exact: bool) -> None:
        self.units = units
        self._exact = exact
        self.bounds = LINEAR_RANGE.get(op)
        self._last: dict[str, Tensor] = {}
        self.found: dict[str, Tensor] = {}

    def see(self, tensor: Tensor, axis: int, turn: int) -> dict[str, Tensor]:
        """Take in what the units put out at a turn: their axis is 1 or the last.

        Returns:
            The shares by quantity.
        """
        if not self._exact and turn % _PAUSE:
            return self.found
        samples, units, positions = unit_shape(tuple(tensor.shape), axis)
        x = tensor.detach().reshape(samples, units, positions)
        if self._exact and self.bounds is not None:
            self.found["saturated"] = share_outside_there(x, self.bounds)
        most = max(_MOST_ELSEWHERE // (units * positions), 1)
        if not self._exact and samples > most:
            first = min(turn * 7919 % samples, samples - most)
            x = x[first : first + most]
        self._look("dead_units", x != 0, turn)
        if self.bounds is not None:
            low, high = self.bounds
            self._look("saturated_units", (x >= low) & (x <= high), turn)
        return self.found

    def _look(self, quantity: str, shows: Tensor, turn: int) -> None:
        seen = shows.any(2).any(0)
        last = self._last.get(quantity)
        if last is None:
            last = torch.full_like(seen, -1, dtype=torch.int64)
        last = self._last[quantity] = torch.where(seen, turn, last)
        silent = (last < 0) | (turn - last >= WINDOW)
        self.found[quantity] = silent.float().mean().reshape(1)


def share_outside_there(x: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Share of a tensor's elements outside the bounds: [1], on its device."""
    return ((x < bounds[0]) | (x > bounds[1])).float().mean().reshape(1)


def feature_numbers(x: NDArray[np.float32]) -> dict[str, float]:
    """How far an input's features are from common scale and zero mean.

    Args:
        x: float32 [samples, features, positions].

    Returns:
        ``feature_spread``: 95th over 5th percentile of the standard deviations of the features
        that vary (1 for a single one); ``feature_offset``: median of |mean| / standard deviation
        over them. Empty when nothing varies or there is a single sample.
    """
    wide = x.astype(np.float64)
    std = wide.std(axis=(0, 2))
    varies = np.isfinite(std) & (std > 0)
    if x.shape[0] * x.shape[2] < 2 or not varies.any():
        return {}
    mean = np.abs(wide.mean(axis=(0, 2)))[varies]
    low, high = np.percentile(std[varies], [5, 95])
    return {
        "feature_spread": float(high / low),
        "feature_offset": float(np.median(mean / std[varies])),
    }


def sample(tensor: Tensor, size: int = 4096) -> Tensor:
    """At most `size` elements at a fixed stride, as a new float32 CPU tensor: for alignment."""
    flat = tensor.detach().reshape(-1)
    stride = max(flat.numel() // size, 1)
    return flat[::stride][:size].to("cpu", torch.float32, copy=True)
