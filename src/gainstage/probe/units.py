"""Units (channels, features) of a stage: dead ones, saturated ones; features of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gainstage.sketch import kernels

WINDOW: Final = 32
"""Steps over which a unit must stay silent (or saturated) for every sample to count as such."""

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


def unit_axis(tensor: Tensor, module: nn.Module | None = None) -> int | None:
    """The axis that numbers a stage's units: 1 for images, the last for everything else.

    Args:
        tensor: the stage's output, samples first.
        module: the module that made it, if one did.

    Returns:
        None for fewer than two axes.
    """
    if tensor.dim() < 2:
        return None
    if tensor.dim() >= 4 or isinstance(module, _CHANNELS_FIRST):
        return 1
    return tensor.dim() - 1


def by_unit(tensor: Tensor, axis: int) -> NDArray[np.float32]:
    """The elements as float32 [samples, units, positions] on the CPU, without a copy if dense."""
    if axis == tensor.dim() - 1:
        shaped = tensor.reshape(-1, tensor.shape[-1], 1)
    else:
        shaped = tensor.reshape(tensor.shape[0], tensor.shape[1], -1)
    array: NDArray[np.float32] = shaped.detach().float().resolve_neg().contiguous().cpu().numpy()
    return array


@dataclass(frozen=True, slots=True)
class UnitMarks:
    """What one call of a stage shows of its units.

    Attributes:
        alive: uint8 [units], 1 where some element was not zero.
        loose: uint8 [units], 1 where some element was in the linear range; None without one.
        outside: number of elements outside the linear range.
        size: number of elements.
    """

    alive: NDArray[np.uint8]
    loose: NDArray[np.uint8] | None
    outside: int
    size: int

    @classmethod
    def of(cls, x: NDArray[np.float32], op: str) -> UnitMarks:
        """Mark the units of `x`: float32 [samples, units, positions], made by operation `op`."""
        alive = np.zeros(x.shape[1], dtype=np.uint8)
        kernels.mark_alive(x, alive)
        if op not in LINEAR_RANGE:
            return cls(alive, None, 0, x.size)
        low, high = LINEAR_RANGE[op]
        loose = np.zeros(x.shape[1], dtype=np.uint8)
        kernels.mark_units(x, low, high, loose)
        return cls(alive, loose, int(kernels.count_outside(x.reshape(-1), low, high)), x.size)


class UnitWindow:
    """Shares of dead and of saturated units of one stage, over the last :data:`WINDOW` steps.

    A unit is dead when it was zero for every sample of every step of the window, saturated when
    it was outside its activation's linear range for every one.
    """

    def __init__(self) -> None:
        self._marks: list[UnitMarks] = []
        self._step = -1

    def see(self, step: int, marks: UnitMarks) -> dict[str, float]:
        """Take in a step's marks (again, for a micro-batch) and return the shares now."""
        if self._marks and self._marks[-1].alive.size != marks.alive.size:
            self._marks.clear()
        if step == self._step and self._marks:
            marks = _either(self._marks.pop(), marks)
        self._step = step
        self._marks.append(marks)
        del self._marks[:-WINDOW]
        alive = np.max([m.alive for m in self._marks], axis=0)
        found = {"dead_units": 1.0 - float(alive.mean())}
        loose = [m.loose for m in self._marks if m.loose is not None]
        if loose:
            found["saturated"] = marks.outside / max(marks.size, 1)
            found["saturated_units"] = 1.0 - float(np.max(loose, axis=0).mean())
        return found


def _either(a: UnitMarks, b: UnitMarks) -> UnitMarks:
    loose = None if a.loose is None or b.loose is None else a.loose | b.loose
    return UnitMarks(a.alive | b.alive, loose, a.outside + b.outside, a.size + b.size)


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
