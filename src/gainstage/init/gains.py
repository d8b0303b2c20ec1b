"""Gains of any activation, and what a stack of such layers does to a signal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, Literal

import numpy as np
from torch import Tensor, nn
from typing_extensions import Self

from gainstage.errors import UsageError
from gainstage.init.activations import Activation, activation
from gainstage.init.quadrature import Expectation, expectation

Direction = Literal["forward", "backward"]

_CRITICAL: Final = 1e-6
_ROUNDING: Final = 1e-9
_VANISHED: Final = 1e-8
_LEVELS: Final = np.logspace(-12, 12, 241)
"""Variances between which fixed points are looked for."""


class Gain(float):
    """A gain: a float that knows how far it may be off.

    Attributes:
        error: bound on its absolute error.
    """

    error: float

    def __new__(cls, value: float, error: float) -> Self:
        """Make one."""
        made = super().__new__(cls, value)
        made.error = error
        return made

    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]
        return float(self), self.error


def gain(
    fn: str | nn.Module | Callable[[Tensor], Tensor],
    direction: Direction = "forward",
    *,
    mean: float = 0.0,
    std: float = 1.0,
    **parameters: Any,
) -> Gain:
    """What a weight must multiply by so that an activation leaves the level as it was.

    For x ~ N(mean, std^2), forward: rms(x) / rms(f(x)); backward: 1 / rms(f'(x)). With the
    defaults these are 1/sqrt(E f(z)^2) and 1/sqrt(E f'(z)^2) of He et al. (2015), whose sqrt(2)
    for ReLU they generalise.

    Args:
        fn: name, module or elementwise callable.
        direction: of the signal (``"forward"``) or of its gradient (``"backward"``).
        mean: of what enters the activation.
        std: of what enters it; positive.
        parameters: of an activation given by name, such as ``negative_slope``.

    Returns:
        The gain; its ``error`` bounds how far the quadrature may be off.

    Raises:
        UnknownNameError: no activation has that name.
        UsageError: there is no such direction, `std` is not positive, the function is not one of
            a single variable (GLU, softmax), or maps everything to zero.

    Example:
        >>> round(gain("relu"), 12), round(gain("gelu"), 4), round(gain("tanh", "backward"), 4)
        (1.414213562373, 1.5335, 1.4674)
        >>> gain("gelu").error < 1e-10
        True
        >>> round(gain(nn.LeakyReLU(5**0.5)), 8)  # torch's default for its layers
        0.57735027
    """
    if direction not in ("forward", "backward"):
        msg = f"direction must be 'forward' or 'backward', not {direction!r}."
        raise UsageError(msg)
    if not std > 0 or not math.isfinite(std) or not math.isfinite(mean):
        msg = f"std must be positive and mean finite, but they are {std} and {mean}."
        raise UsageError(msg)
    read = activation(fn, **parameters)
    found = _moments(read, mean, std)
    index = 1 if direction == "forward" else 2
    energy, error = float(found.value[index]), float(found.error[index])
    if energy <= 0:
        what = "value" if direction == "forward" else "derivative"
        msg = f"The {what} of {read.name} is zero wherever the input lies, so no gain undoes it."
        raise UsageError(msg)
    level = math.hypot(mean, std) if direction == "forward" else 1.0
    value = level / math.sqrt(energy)
    return Gain(value, value * (error / (2 * energy) + 4e-16))


def _moments(of: Activation, mean: float, std: float) -> Expectation:
    """E f, E f^2 and E f'^2 for x ~ N(mean, std^2): [3]."""

    def integrands(x: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
        value, slope = of.with_slope(x)
        with np.errstate(invalid="ignore"):  # what is not finite is refused where it is added up
            return np.stack([value, value**2, slope**2])

    return expectation(integrands, mean, std)


_kept_moments = lru_cache(maxsize=4096)(_moments)
"""For the maps, which ask for the same ones again and again."""


@dataclass(frozen=True)
class VarianceMap:
    """What a layer (weights of variance gain^2/fan_in behind an activation) does to a variance.

    q -> gain^2 E f(sqrt(q) z)^2 + bias^2: the map of Poole et al. (2016) and Schoenholz et al.
    (2017), for the variance q of what enters the activation.

    Attributes:
        activation: the function.
        gain: of the weights: their standard deviation times sqrt(fan_in).
        bias: standard deviation of the biases.
    """

    activation: Activation
    gain: float = 1.0
    bias: float = 0.0

    @classmethod
    def of(
        cls, fn: str | nn.Module | Callable[[Tensor], Tensor], gain: float, bias: float = 0.0
    ) -> VarianceMap:
        """The map of an activation by name, module or callable.

        Example:
            >>> critical = VarianceMap.of("tanh", gain=1.0)
            >>> critical.phase, critical.fixed_point
            ('critical', 0.0)
            >>> chaotic = VarianceMap.of("tanh", gain=5 / 3)
            >>> chaotic.phase, round(chaotic.fixed_point, 3)
            ('chaotic', 1.178)
        """
        return cls(activation(fn), gain, bias)

    def __call__(self, q: float) -> float:
        """The variance after the layer."""
        if q <= 0:
            return self.gain**2 * float(self.activation(np.zeros(1))[0]) ** 2 + self.bias**2
        return (
            self.gain**2 * float(_kept_moments(self.activation, 0.0, math.sqrt(q)).value[1])
            + self.bias**2
        )

    def trajectory(self, q: float, depth: int) -> list[float]:
        """The variances after 0, 1, ... depth layers."""
        found = [q]
        for _ in range(depth):
            found.append(self(found[-1]))
        return found

    @cached_property
    def scale_free(self) -> bool:
        """Whether the map is linear: ReLU and its like have no scale of their own."""
        ratios = [self(q) / q for q in (1e-4, 1.0, 1e4)]
        return self.bias == 0 and max(ratios) / min(ratios) - 1 < _CRITICAL

    @cached_property
    def fixed_point(self) -> float:
        """The variance at which a signal settles that begins at 1.

        0.0 where it dies out, infinity where it grows without end, NaN where any variance stays
        as it is (a linear map of slope 1).
        """
        if self.scale_free:
            slope = self(1.0)
            return math.nan if abs(slope - 1) < _CRITICAL else (0.0 if slope < 1 else math.inf)
        start = self._growth(1.0)
        if start == 0.0:
            return 1.0
        way = _LEVELS[_LEVELS >= 1] if start > 0 else _LEVELS[_LEVELS <= 1][::-1]
        beyond = next((i for i, q in enumerate(way) if self._growth(q) * start <= 0), None)
        if beyond is None or way[beyond] < _VANISHED:
            return math.inf if start > 0 else 0.0
        near, far = way[beyond - 1], way[beyond]
        for _ in range(60):
            middle = math.sqrt(near * far)
            near, far = (middle, far) if self._growth(middle) * start > 0 else (near, middle)
        return float(math.sqrt(near * far))

    @property
    def stable(self) -> bool:
        """Whether a signal that begins a little off the fixed point comes back to it.

        GELU and SiLU with their gain have theirs at 1, and it is unstable: a signal that begins
        below dies out in the long run, one above grows.
        """
        q = self.fixed_point
        if math.isnan(q):
            return False
        return not math.isfinite(q) or q == 0 or self._growth(q * 1.01) < 0

    def _growth(self, q: float) -> float:
        """Logarithm of what the layer multiplies the variance by, 0 within the rounding."""
        after = self(q)
        growth = math.log(after / q) if after > 0 else -math.inf
        return 0.0 if abs(growth) < _ROUNDING else growth

    @cached_property
    def slope(self) -> float:
        """Chi = gain^2 E f'(sqrt(q) z)^2 at the fixed point.

        What a layer does to a gradient's variance, and to the distance of two signals: below 1 they
        become alike (ordered), above 1 they part (chaotic), however close they began.
        """
        q = self.fixed_point
        q = 1.0 if math.isnan(q) or math.isinf(q) else max(q, 1e-12)
        return self.gain**2 * float(_kept_moments(self.activation, 0.0, math.sqrt(q)).value[2])

    @property
    def phase(self) -> Literal["ordered", "critical", "chaotic"]:
        """Whether gradients fade (ordered), stay (critical) or grow (chaotic) on their way back."""
        if abs(self.slope - 1) < 1e-3:
            return "critical"
        return "ordered" if self.slope < 1 else "chaotic"

    @property
    def correlation_length(self) -> float:
        """Layers over which the difference of two signals changes by a factor e: 1/|log chi|.

        About six times that many layers can be trained (Schoenholz et al. 2017); infinite at the
        critical point.
        """
        distance = abs(math.log(self.slope)) if self.slope > 0 else math.inf
        return math.inf if distance < 1e-9 else 1 / distance
