"""What the tools of initialisation report, as plain records: free of torch, ready to print."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, Protocol, TypeVar

from typing_extensions import override

from gainstage.errors import UnknownNameError
from gainstage.quantities import level_db
from gainstage.records import Finding


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


N = TypeVar("N", bound=Named)


def named(kind: str, rows: Iterable[N], name: str) -> N:
    """The row of a name.

    Args:
        kind: what a row is of, for the message.
        rows: one a name.
        name: which.

    Raises:
        UnknownNameError: there is none; the message lists what was meant or what there is.
    """
    found = {row.name: row for row in reversed([*rows])}
    if name in found:
        return found[name]
    near = get_close_matches(name, found, n=3)
    hint = (
        f"Did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"There are: {', '.join(reversed(found))}."
    )
    msg = f"There is no {kind} {name!r}. {hint}"
    raise UnknownNameError(msg)


@dataclass(frozen=True, slots=True)
class PredictedStage:
    """One stage: predicted and measured.

    Attributes:
        name: of the place.
        op: function that was called.
        shape: of the output.
        mean: measured mean of the output.
        rms: measured.
        predicted_mean: of the output.
        predicted_rms: of the output.
        predicted_spread: standard deviation of a unit over the samples, without what they share.
        grad: measured rms of the loss's gradient; NaN where none came.
        predicted_grad: likewise.
        band_db: standard deviation between seeds of the forward level, for this width and depth.
        crude: whether the theory is known to be rough here, or on the way here.
        modelled: False where no rule is known: there the measured level stands for the
            prediction, and the stages after it build on that.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    mean: float
    rms: float
    predicted_mean: float
    predicted_rms: float
    predicted_spread: float
    grad: float
    predicted_grad: float
    band_db: float
    crude: bool
    modelled: bool

    @property
    def std(self) -> float:
        """Measured standard deviation over all elements."""
        return math.sqrt(max(self.rms**2 - self.mean**2, 0.0))

    @property
    def predicted_std(self) -> float:
        """Predicted standard deviation over all elements."""
        return math.sqrt(max(self.predicted_rms**2 - self.predicted_mean**2, 0.0))

    @property
    def forward_db(self) -> float:
        """Measured minus predicted level of the output, in dB."""
        return level_db(self.rms) - level_db(self.predicted_rms)

    @property
    def backward_db(self) -> float:
        """Measured minus predicted level of its gradient, in dB."""
        return level_db(self.grad) - level_db(self.predicted_grad)


@dataclass(frozen=True, slots=True)
class PredictedWeight:
    """The gradient of a weight matrix: rms measured and predicted."""

    name: str
    grad: float
    predicted_grad: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was done to one parameter.

    Attributes:
        name: of the parameter.
        shape: of it.
        action: ``"drawn"``, ``"zero"``, ``"filled"`` or ``"kept"``.
        why: why it was kept, or what else there is to tell.
        law: what was drawn from; ``""`` if nothing was.
        std: standard deviation that was drawn with (of a constant: the value).
        fan_in: terms of one output; NaN where there is none.
        fan_out: terms of the gradient of one input.
        activation: whose output the weight multiplies; ``""`` if of none.
        gain: that makes up for it.
        branch: what a residual scheme multiplied by.
    """

    name: str
    shape: tuple[int, ...]
    action: Literal["drawn", "zero", "filled", "kept"]
    why: str = ""
    law: str = ""
    std: float = math.nan
    fan_in: float = math.nan
    fan_out: float = math.nan
    activation: str = ""
    gain: float = math.nan
    branch: float = 1.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One stage with a weight.

    Attributes:
        name: of the weight, with ``[i]`` where it is one of several matrices in a parameter.
        target_db: level that was asked for.
        before_db: level of what the weight puts out, before.
        after_db: and after, measured in a pass of its own.
        scale: what the weight was multiplied by in all; 1 where it could not be set.
    """

    name: str
    target_db: float
    before_db: float
    after_db: float
    scale: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A scheme held against a weight.

    Attributes:
        scheme: name.
        options: what was set, such as ``mode=fan_out``.
        gain: that was supposed.
        std: standard deviation that it gives.
        p: probability of a weight at least as far off, if the scheme were true.
    """

    scheme: str
    options: str
    gain: float
    std: float
    p: float

    @override
    def __str__(self) -> str:
        told = [f"gain {self.gain:.3g}"] if self.gain != 1 else []
        told += [self.options] if self.options else []
        return f"{self.scheme}({', '.join(told)})" if told else self.scheme


@dataclass(frozen=True, slots=True)
class Audited:
    """One parameter.

    Attributes:
        name: of it.
        shape: of it.
        role: ``"weight"``, ``"bias"``, ``"norm"`` or ``"unknown"``.
        law: the likeliest law, or ``""``.
        rms: over all elements.
        fits: schemes that are not rejected, the likeliest first; none if all are.
        rejected: names of the schemes of the same law that are.
        nearest: deviation of the nearest scheme that suits the layer; NaN of what is no weight.
        activation: that feeds the layer, if known.
        symmetric: whether all units are one unit.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    law: str
    rms: float
    fits: tuple[Fit, ...] = ()
    rejected: tuple[str, ...] = ()
    nearest: float = math.nan
    activation: str = ""
    symmetric: bool = False

    @property
    def scheme(self) -> str:
        """The scheme that fits best, or ``""``."""
        return self.fits[0].scheme if self.fits else ""

    @property
    def factor(self) -> float:
        """How many times too large (above 1) or too small (below 1) for the nearest scheme."""
        return self.rms / self.nearest if self.nearest > 0 else math.nan


@dataclass(frozen=True, slots=True)
class ExpectedLoss:
    """The loss before training.

    Attributes:
        measured: on the batch.
        chance: of equal odds for all classes, ln C; NaN where the loss is no cross entropy.
        expected: of scores that are Gaussian with the predicted standard deviation.
        scores_std: that deviation.
        finding: where the network starts too sure of itself.
    """

    measured: float
    chance: float
    expected: float
    scores_std: float
    finding: Finding | None = None
