"""What becomes of gradients between the backward pass and the step: clipped, or never cleared."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from torch import Tensor

from gainstage.probe.ranks import local
from gainstage.sketch import sampling
from gainstage.sketch.pointers import holds_memory
from gainstage.sketch.reader import kind_of

CHOSEN: Final = 3
"""Parameters of an optimiser that are followed: a clipping by norm is the same for all."""

LINES: Final = 8
"""Lines of each of them, always the same ones."""


class Fate(NamedTuple):
    """What happened to the gradients that a step is about to use.

    Attributes:
        kept: their norm over that which the backward pass left; 1 where nothing clipped them,
            NaN where there was nothing to compare.
        stale: those of the step before are still in them: nobody cleared them in between.
    """

    kept: float
    stale: bool


@dataclass(slots=True)
class _Followed:
    """The chosen parameters of one optimiser.

    Attributes:
        references: to them.
        raw: of each, the power of its gradient as the last backward pass left it; NaN if it had
            none that could be read.
        clean: they were seen without a gradient since the last step.
    """

    references: list[weakref.ref[Tensor]]
    raw: list[float] = field(default_factory=list)
    clean: bool = False

    def powers(self) -> list[float]:
        """Of their gradients, as they are now."""
        held = (reference() for reference in self.references)
        return [math.nan if one is None else _power(one.grad) for one in held]


class Gradients:
    """Follows a few gradients of each optimiser from one step to its next.

    Example:
        >>> import torch
        >>> w = torch.ones(3, requires_grad=True)
        >>> gradients = Gradients()
        >>> for _ in range(2):
        ...     gradients.before_backward()
        ...     (2 * w).sum().backward()
        ...     gradients.after_backward()
        ...     w.grad.mul_(0.5)
        ...     gradients.before_step(1, [w])
        tensor([1., 1., 1.])
        Fate(kept=nan, stale=False)
        tensor([1.5000, 1.5000, 1.5000])
        Fate(kept=0.5, stale=True)
    """

    def __init__(self) -> None:
        self._followed: dict[int, _Followed] = {}

    def before_backward(self) -> None:
        """A backward pass is about to add to gradients: see which were cleared."""
        for one in self._followed.values():
            if not one.clean:
                one.clean = not any(power > 0 for power in one.powers())

    def after_backward(self) -> None:
        """Note what the backward pass left."""
        for one in self._followed.values():
            one.raw = one.powers()

    def before_step(self, owner: int, parameters: Iterable[Tensor], scale: float = 1.0) -> Fate:
        """Compare the gradients with those that the backward pass left.

        Args:
            owner: the ``id`` of what steps.
            parameters: that it steps.
            scale: factor of the loss that a gradient scaler has taken out of the gradients since.
        """
        one = self._followed.get(owner)
        if one is None or any(reference() is None for reference in one.references):
            chosen = _choose([p for p in parameters if p.grad is not None])
            self._followed[owner] = _Followed([weakref.ref(p) for p in chosen])
            return Fate(math.nan, stale=False)
        fate = Fate(_kept(one) * scale, stale=not one.clean)
        one.clean, one.raw = False, []
        return fate

    def clear(self) -> None:
        """Forget all."""
        self._followed.clear()


def any_left(leaves: Iterable[Tensor]) -> bool:
    """Whether any of the first few leaves still has a gradient that is not zero."""
    return any(_power(leaf.grad) > 0 for leaf in list(leaves)[:CHOSEN])


def _choose(parameters: Sequence[Tensor]) -> list[Tensor]:
    """A few parameters, spread over them all."""
    n = len(parameters)
    places = sorted({round(i * (n - 1) / (CHOSEN - 1)) for i in range(CHOSEN)}) if n else []
    return [parameters[i] for i in places]


def _kept(one: _Followed) -> float:
    """Norm of the gradients over that of what the backward pass left; NaN if that is unknown."""
    applied = raw = 0.0
    for now, before in zip(one.powers(), one.raw, strict=False):
        if now >= 0 and before >= 0:
            applied += now
            raw += before
    return math.sqrt(applied / raw) if 0 < raw < math.inf else math.nan


def _power(grad: Tensor | None) -> float:
    """Sum of squares of a part of a gradient, always the same part; NaN if there is none."""
    if grad is None:
        return math.nan
    kind = kind_of(grad)
    if not kind:
        grad = local(grad)
        kind = kind_of(grad)
    n = grad.numel() if kind else 0
    if not n or not holds_memory(grad):
        return math.nan
    return float(sampling.power_of(grad.data_ptr(), n, kind, LINES))
