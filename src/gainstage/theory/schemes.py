"""Initialisation schemes by name: which standard deviation each gives a weight, and from where.

A scheme is one function, from the weight's fans and the gain that makes up for the activation
before it to a standard deviation, and the law that is drawn from. What draws lies in
``gainstage.init``; what judges weights, there or in a stored run, reads the variance here.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from gainstage.errors import UsageError
from gainstage.registry import Registry
from gainstage.theory.fans import Fans

Law = Literal[
    "normal",
    "uniform",
    "truncated",
    "orthogonal",
    "delta_orthogonal",
    "sparse",
    "constant",
    "identity",
]
"""What is drawn from, at the standard deviation that the scheme gives."""

Deviation = Callable[..., float]
"""``(fans, gain, *, options) -> standard deviation`` (or, for a constant, the value)."""

Branch = Callable[[int, int, bool], float]
"""``(branches of the network, layers of the branch, whether it is its last) -> factor``."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to draw weights.

    Attributes:
        name: public name.
        law: what is drawn from.
        deviation: gives the standard deviation.
        gained: whether it makes up for the activation before the layer.
        by_fan: whether it heeds the fans; if not, it is a size for all layers.
        branch: what a layer of a residual branch is multiplied by, for schemes that know of
            residual branches.
    """

    name: str
    law: Law
    deviation: Deviation
    gained: bool = False
    by_fan: bool = True
    branch: Branch | None = None

    def std(self, fans: Fans, gain: float = 1.0, **options: Any) -> float:
        """Standard deviation of a weight.

        Args:
            fans: of the weight.
            gain: that makes up for the activation before it; heeded where ``gained``.
            options: of the scheme, such as ``std`` of ``"normal"``.

        Raises:
            UsageError: the scheme has no such option.

        Example:
            >>> SCHEMES["kaiming_normal"].std(Fans(200, 100), 2**0.5)
            0.1
        """
        self.check(options)
        return self.deviation(fans, gain, **options)

    @property
    def options(self) -> tuple[str, ...]:
        """Names of what may be set."""
        return tuple(inspect.signature(self.deviation).parameters)[2:]

    @property
    def about(self) -> str:
        """What it is, and its source."""
        return inspect.getdoc(self.deviation) or ""

    def check(self, options: dict[str, Any]) -> None:
        """Raise a UsageError if the scheme has not all of these options."""
        unknown = [name for name in options if name not in self.options]
        if unknown:
            there_are = ", ".join(self.options) or "none"
            msg = f"The scheme {self.name!r} has no option {unknown[0]!r}; it has: {there_are}."
            raise UsageError(msg)


SCHEMES: Final[Registry[Scheme]] = Registry("initialisation scheme")


def scheme(
    name: str,
    law: Law,
    *,
    gained: bool = False,
    by_fan: bool = True,
    branch: Branch | None = None,
) -> Callable[[Deviation], Deviation]:
    """Return a decorator that files a function as the scheme `name` and returns it unchanged."""

    def decorate(deviation: Deviation) -> Deviation:
        SCHEMES.register(name)(Scheme(name, law, deviation, gained, by_fan, branch))
        return deviation

    return decorate


TRANSFORMER: Final = 0.02
"""The deviation that transformers draw all their weights with."""


# ---- one size for all


@scheme("constant", "constant", by_fan=False)
def constant(fans: Fans, gain: float, *, value: float = 0.0) -> float:
    """Every weight alike. All units of a layer are then one unit, for ever: for study only."""
    del fans, gain
    return value


@scheme("normal", "normal", by_fan=False)
def normal(fans: Fans, gain: float, *, std: float = TRANSFORMER) -> float:
    """N(0, std^2) whatever the fans; 0.02 is the custom of transformers (Radford et al. 2018)."""
    del fans, gain
    return std


@scheme("uniform", "uniform", by_fan=False)
def uniform(fans: Fans, gain: float, *, bound: float = 0.05) -> float:
    """U(-bound, bound) whatever the fans: the custom before Glorot & Bengio (2010)."""
    del fans, gain
    return bound / math.sqrt(3.0)


@scheme("truncated_normal", "truncated", by_fan=False)
def truncated_normal(fans: Fans, gain: float, *, std: float = TRANSFORMER) -> float:
    """N(0, s^2) cut off at two s, s such that `std` is the deviation after the cut.

    Vision transformers (Dosovitskiy et al. 2021) and BERT (Devlin et al. 2019) draw so.
    """
    del fans, gain
    return std


# ---- by the fans


@scheme("lecun_normal", "normal")
def lecun_normal(fans: Fans, gain: float) -> float:
    """Variance 1/fan_in: right for linear layers, tanh of small inputs, SELU.

    LeCun et al. 1998, "Efficient BackProp", section 4.6; Klambauer et al. 2017 for SELU.
    """
    del gain
    return 1 / math.sqrt(fans.fan_in)


@scheme("lecun_uniform", "uniform")
def lecun_uniform(fans: Fans, gain: float) -> float:
    """Variance 1/fan_in, uniform: LeCun et al. 1998, section 4.6."""
    del gain
    return 1 / math.sqrt(fans.fan_in)


@scheme("xavier_normal", "normal")
def xavier_normal(fans: Fans, gain: float) -> float:
    """Variance 2/(fan_in + fan_out): between what forward and backward want.

    Glorot & Bengio 2010, equation 12, where the activation counts as linear: so no gain, unless
    one is given.
    """
    return gain / math.sqrt(fans.fan_avg)


@scheme("xavier_uniform", "uniform")
def xavier_uniform(fans: Fans, gain: float) -> float:
    """Variance 2/(fan_in + fan_out), uniform: Glorot & Bengio 2010, equation 16."""
    return gain / math.sqrt(fans.fan_avg)


@scheme("kaiming_normal", "normal", gained=True)
def kaiming_normal(fans: Fans, gain: float, *, mode: str = "fan_in") -> float:
    """Variance gain^2/fan_in (He et al. 2015, equation 10), or gain^2/fan_out (equation 14)."""
    return gain / math.sqrt(fans.of(mode))


@scheme("kaiming_uniform", "uniform", gained=True)
def kaiming_uniform(fans: Fans, gain: float, *, mode: str = "fan_in") -> float:
    """Variance gain^2/fan_in, or by fan_out, uniform: He et al. 2015."""
    return gain / math.sqrt(fans.of(mode))


@scheme("torch_default", "uniform")
def torch_default(fans: Fans, gain: float) -> float:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), variance 1/(3 fan_in): what torch's layers start with.

    torch writes it as kaiming_uniform_ with a = sqrt(5): the gain of a leaky ReLU of that slope
    is sqrt(2/(1 + 5)) = 1/sqrt(3), which turns the bound sqrt(3) gain/sqrt(fan_in) into the
    1/sqrt(fan_in) of Lua Torch. There never was such a slope: a ReLU stage loses 7.8 dB by it.
    """
    del gain
    return 1 / math.sqrt(3 * fans.fan_in)


@scheme("orthogonal", "orthogonal", gained=True)
def orthogonal(fans: Fans, gain: float) -> float:
    """Orthogonal rows, or columns if there are fewer, of variance gain^2/fan_in: Saxe et al. 2014.

    A layer that widens is scaled by sqrt(out/in) more than by ``torch.nn.init.orthogonal_``, which
    keeps the norm of a vector, while we keep its level (its rms).
    """
    return gain / math.sqrt(fans.fan_in)


@scheme("delta_orthogonal", "delta_orthogonal", gained=True)
def delta_orthogonal(fans: Fans, gain: float) -> float:
    """Orthogonal in the middle of the kernel, zero elsewhere: Xiao et al. 2018.

    Of a convolution; it neither mixes positions nor loses energy at the border.
    """
    return gain / math.sqrt(fans.fan_in)


@scheme("sparse", "sparse", gained=True)
def sparse(fans: Fans, gain: float, *, connections: int = 15) -> float:
    """Each unit has so many inputs that are not zero, whatever the fan-in: Martens 2010, section 5.

    The deviation over all weights is gain/sqrt(fan_in), as of a dense one.
    """
    del connections
    return gain / math.sqrt(fans.fan_in)


@scheme("identity", "identity", gained=True)
def identity(fans: Fans, gain: float) -> float:
    """The identity (of a convolution: in the middle of the kernel), times the gain.

    Le, Jaitly & Hinton 2015 for recurrent matrices; Zagoruyko & Komodakis 2017 for convolutions.
    """
    return gain / math.sqrt(fans.fan_in)


# ---- that know of residual branches


def _last_by_number(branches: int, layers: int, last: bool) -> float:
    del layers
    return branches**-0.5 if last else 1.0


def _fixup(branches: int, layers: int, last: bool) -> float:
    if layers < 2:
        return 1.0
    return 0.0 if last else branches ** (-1 / (2 * layers - 2))


@scheme("gpt2", "normal", by_fan=False, branch=_last_by_number)
def gpt2(fans: Fans, gain: float, *, std: float = TRANSFORMER) -> float:
    """N(0, 0.02^2), and the last layer of each of N residual branches times 1/sqrt(N).

    Radford et al. 2019, section 2.3: the stream then grows by about one branch in all.
    """
    del fans, gain
    return std


@scheme("depth_scaled", "normal", gained=True, branch=_last_by_number)
def depth_scaled(fans: Fans, gain: float) -> float:
    """Kaiming normal, and the last layer of each of N residual branches times 1/sqrt(N).

    The stream's variance then grows by a factor of about e whatever the depth, where each branch
    would otherwise double it (De & Smith 2020; Zhang, Dauphin & Ma 2019, section 2).
    """
    return gain / math.sqrt(fans.fan_in)


@scheme("fixup", "normal", gained=True, branch=_fixup)
def fixup(fans: Fans, gain: float) -> float:
    """Kaiming normal times N^(-1/(2m-2)) in branches of m layers, their last at zero.

    Zhang, Dauphin & Ma 2019, rules 1 and 2; the scalar biases and multipliers of their rule 3
    are the architecture's to add. A branch of one layer is left as it is.
    """
    return gain / math.sqrt(fans.fan_in)
