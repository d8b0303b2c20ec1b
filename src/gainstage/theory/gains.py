"""Gains of the named activations: what a weight must give back of what the activation took.

For an input z of mean 0 and variance 1 the forward gain is ``1/sqrt(E f(z)^2)`` and the backward
gain ``1/sqrt(E f'(z)^2)``. The table keeps what :func:`gainstage.gain` computes by quadrature, so
that the half of the project that never imports torch can read it; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class GainPair:
    """Gains of one activation for a standard normal input.

    Attributes:
        forward: ``1/sqrt(E f(z)^2)``: keeps the level of the signal.
        backward: ``1/sqrt(E f'(z)^2)``: keeps the level of the gradient.
    """

    forward: float
    backward: float


GAINS: Final[dict[str, GainPair]] = {
    "celu": GainPair(1.2451983007, 1.2234285576),
    "elu": GainPair(1.2451983007, 1.2234285576),
    "gelu": GainPair(1.5335304412, 1.4811144127),
    "hardsigmoid": GainPair(1.8978404247, 6.0081156461),
    "hardswish": GainPair(1.7366572128, 1.6700763674),
    "hardtanh": GainPair(1.3920361404, 1.2102870624),
    "leaky_relu": GainPair(1.4141428570, 1.4141428570),
    "linear": GainPair(1.0000000000, 1.0000000000),
    "logsigmoid": GainPair(1.0418668355, 1.8462285453),
    "mish": GainPair(1.4868475813, 1.4447552325),
    "relu": GainPair(1.4142135624, 1.4142135624),
    "relu6": GainPair(1.4142135651, 1.4142135638),
    "selu": GainPair(1.0000000000, 0.9660257770),
    "sigmoid": GainPair(1.8462285453, 4.7226460859),
    "silu": GainPair(1.6765324703, 1.6233202580),
    "softplus": GainPair(1.0418668355, 1.8462285453),
    "softsign": GainPair(2.3375333631, 2.0957806089),
    "tanh": GainPair(1.5925374197, 1.4674135916),
}
"""By torch's functional name, ten decimals, at each function's default parameters."""


def forward_gain(op: str, otherwise: float) -> float:
    """The forward gain of an operation by its name, whatever its capitals.

    Args:
        op: for example ``"relu"``, ``"ReLU6"``, ``"LeakyReLU"``.
        otherwise: what holds for an operation that is no known activation.

    Example:
        >>> round(forward_gain("GELU", 1.0), 4), forward_gain("Conv2d", 1.0)
        (1.5335, 1.0)
    """
    pair = GAINS.get(op.lower()) or _WITHOUT_BARS.get(op.lower())
    return pair.forward if pair else otherwise


_WITHOUT_BARS: Final = {name.replace("_", ""): pair for name, pair in GAINS.items()}
