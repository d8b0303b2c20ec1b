"""What becomes of gradients between the backward pass and the step: clipped, or never cleared."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import torch
from torch import Tensor

from gainstage.probe.ranks import local
from gainstage.probe.recorder import Recorder
from gainstage.sketch import sampling
from gainstage.sketch.elsewhere import is_elsewhere
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
        stale: 1 where those of the step before are still in them: nobody cleared them in between;
            NaN where that was not looked at.
    """

    kept: float
    stale: float


@dataclass(slots=True)
class _Followed:
    """The chosen parameters of one optimiser.

    Attributes:
        references: to them.
        raw: of each, the power of its gradient as the last backward pass left it; NaN if it had
            none that could be read.
        stale: as in :class:`Fate`.
    """

    references: list[weakref.ref[Tensor]]
    raw: list[float] = field(default_factory=list)
    stale: float = 1.0

    def grads(self) -> list[Tensor | None]:
        """Their gradients, as they are now."""
        held = (reference() for reference in self.references)
        return [None if one is None else one.grad for one in held]


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
        Fate(kept=nan, stale=0.0)
        tensor([1.5000, 1.5000, 1.5000])
        Fate(kept=0.5, stale=1.0)
    """

    def __init__(self) -> None:
        self._followed: dict[int, _Followed] = {}
        self.scale = 1.0
        """Of the loss, by a gradient scaler that has taken it out of the gradients since."""
        self.waits = True
        """Whether this is a step in which other devices may be waited for."""

    def before_backward(self) -> None:
        """A backward pass is about to add to gradients: see which were cleared."""
        for one in self._followed.values():
            if one.stale:  # not even one of several passes found them cleared
                grads = one.grads()
                left = any(power > 0 for power in self._powers(grads))
                known = self.waits or not any(g is not None and is_elsewhere(g) for g in grads)
                one.stale = float(left) if known else math.nan

    def _powers(self, grads: Iterable[Tensor | None]) -> list[float]:
        return [_power(grad, waits=self.waits) for grad in grads]

    def after_backward(self) -> None:
        """Note what the backward pass left."""
        for one in self._followed.values():
            one.raw = self._powers(one.grads())

    def judge(
        self, optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor], recorder: Recorder
    ) -> None:
        """Record what has become of the gradients that an optimiser is about to use."""
        fate = self.before_step(id(optimizer), parameters)
        recorder.fold_run(min, kept_grad=fate.kept)
        recorder.fold_run(max, stale_grad=fate.stale)

    def before_step(self, owner: int, parameters: Iterable[Tensor]) -> Fate:
        """Compare the gradients with those that the backward pass left.

        Args:
            owner: the ``id`` of what steps.
            parameters: that it steps.
        """
        one = self._followed.get(owner)
        if one is None or any(reference() is None for reference in one.references):
            chosen = _choose([p for p in parameters if p.grad is not None])
            self._followed[owner] = _Followed([weakref.ref(p) for p in chosen])
            return Fate(math.nan, 0.0)  # nobody has stepped before
        fate = Fate(self._kept(one) * self.scale, one.stale)
        one.stale, one.raw = 1.0, []
        return fate

    def _kept(self, one: _Followed) -> float:
        """Norm of the gradients over that of what the backward left; NaN if that is unknown."""
        applied = raw = 0.0
        for now, before in zip(self._powers(one.grads()), one.raw, strict=False):
            if now >= 0 and before >= 0:
                applied += now
                raw += before
        return math.sqrt(applied / raw) if 0 < raw < math.inf else math.nan

    def clear(self) -> None:
        """Forget all."""
        self._followed.clear()


def any_left(leaves: Iterable[Tensor]) -> bool:
    """Whether any of the first few leaves still has a gradient that is not zero."""
    return any(_power(leaf.grad, waits=True) > 0 for leaf in list(leaves)[:CHOSEN])


def _choose(parameters: Sequence[Tensor]) -> list[Tensor]:
    """A few parameters, spread over them all."""
    n = len(parameters)
    places = sorted({round(i * (n - 1) / (CHOSEN - 1)) for i in range(CHOSEN)}) if n else []
    return [parameters[i] for i in places]


def _power(grad: Tensor | None, *, waits: bool) -> float:
    """Sum of squares of a part of a gradient, always the same part; NaN if there is none.

    Args:
        grad: the gradient.
        waits: whether another device may be waited for.
    """
    if grad is None:
        return math.nan
    kind = kind_of(grad)
    if not kind:
        grad = local(grad)
        if is_elsewhere(grad):
            part = grad.detach().reshape(-1)[: LINES * sampling.LINE].float()
            return float(part.square().sum()) if waits else math.nan
        kind = kind_of(grad)
    n = grad.numel() if kind else 0
    if not n or not holds_memory(grad):
        return math.nan
    return float(sampling.power_of(grad.data_ptr(), n, kind, LINES))
