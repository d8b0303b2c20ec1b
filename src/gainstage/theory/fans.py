"""Fans: how many inputs one output of a layer adds up, and how many outputs one input reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gainstage.errors import UsageError

GATES: Final = {"RNN": 1, "LSTM": 4, "GRU": 3, "RNNCell": 1, "LSTMCell": 4, "GRUCell": 3}
"""Matrices that lie one above the other in a recurrent layer's weight."""


@dataclass(frozen=True, slots=True)
class Fans:
    """The fans of a weight.

    Attributes:
        fan_in: terms that are added up in one output.
        fan_out: terms of the backward pass that are added up in the gradient of one input.
        parts: matrices of their own that lie one above the other along the first axis (gates of a
            recurrent layer, query, key and value of an attention's projection); the fans are
            those of one part.
    """

    fan_in: float
    fan_out: float
    parts: int = 1

    @property
    def fan_avg(self) -> float:
        """The mean of both: Glorot & Bengio's compromise between the two directions."""
        return (self.fan_in + self.fan_out) / 2

    def of(self, mode: str) -> float:
        """One of the three by its name.

        Args:
            mode: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``.

        Raises:
            UsageError: there is no such mode.
        """
        if mode not in MODES:
            msg = f"There is no fan mode {mode!r}; there are: {', '.join(MODES)}."
            raise UsageError(msg)
        return float(getattr(self, mode))


MODES: Final = ("fan_in", "fan_out", "fan_avg")


def linear(shape: Sequence[int], parts: int = 1) -> Fans:
    """Fans of a matrix [parts * out, in].

    Example:
        >>> linear((128, 784))
        Fans(fan_in=784, fan_out=128, parts=1)
        >>> linear((3 * 64, 64), parts=3)  # attention's packed projection: each 64 to 64
        Fans(fan_in=64, fan_out=64.0, parts=3)
    """
    return Fans(shape[1], shape[0] / parts if parts > 1 else shape[0], parts)


def bilinear(shape: Sequence[int]) -> Fans:
    """Fans of a bilinear weight [out, in1, in2]: one output adds up all products."""
    return Fans(shape[1] * shape[2], shape[0] * shape[2])


def convolution(shape: Sequence[int], *, groups: int = 1) -> Fans:
    """Fans of a filter bank [out, in / groups, *kernel].

    Dilation changes which pixels are met, not how many. A stride thins out the gradient's terms;
    by the field's custom fan_out does not count that. Unlike torch's, our fan_out knows that an
    input is only seen by its own group.

    Example:
        >>> convolution((32, 1, 5, 5))
        Fans(fan_in=25, fan_out=800.0, parts=1)
    """
    field = math.prod(shape[2:])
    return Fans(shape[1] * field, shape[0] * field / groups)


def transposed(shape: Sequence[int], *, groups: int = 1, stride: Sequence[int] = ()) -> Fans:
    """Fans of a transposed convolution's filter bank [in, out / groups, *kernel].

    One output adds up, on average over positions, the kernel over the stride. torch reads the
    first axis as outputs, and draws by the wrong fan.

    Example:
        >>> transposed((64, 32, 4, 4), stride=(2, 2))
        Fans(fan_in=256.0, fan_out=512, parts=1)
    """
    field = math.prod(shape[2:])
    return Fans(shape[0] * field / groups / math.prod(stride), shape[1] * field)


def embedding(shape: Sequence[int]) -> Fans:
    """Fans of a table [rows, features]: one row is looked up, so one term is added up."""
    return Fans(1, shape[1])


def recurrent(shape: Sequence[int], op: str) -> Fans:
    """Fans of a recurrent layer's matrix [gates * hidden, in].

    Example:
        >>> recurrent((4 * 32, 16), "LSTM")
        Fans(fan_in=16, fan_out=32.0, parts=4)
    """
    return linear(shape, GATES[op])


def torch_fan_in(op: str, shape: Sequence[int], fans: Fans) -> float:
    """The fan by which torch draws its default: not always the number of terms.

    Of a recurrent layer it is the hidden size; of a transposed convolution the fan of the gradient.

    Example:
        >>> torch_fan_in("ConvTranspose2d", (64, 32, 4, 4), transposed((64, 32, 4, 4)))
        512
    """
    if op in GATES:
        return shape[0] / GATES[op]
    if op.startswith("ConvTranspose"):
        return shape[1] * math.prod(shape[2:])
    return fans.fan_in
