"""What becomes of gradients between the backward pass and the step: clipped, or never cleared."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from torch import Tensor

from gainstage.probe.ranks import local
from gainstage.sketch import sampling
from gainstage.sketch.kernels import Floats
from gainstage.sketch.pointers import holds_memory
from gainstage.sketch.reader import kind_of

CHOSEN: Final = 3
"""Parameters of an optimiser that are followed: a clipping by norm is the same for all."""

LINES: Final = 8
"""Lines of each of them, always the same ones."""

_WIDTH: Final = LINES * sampling.LINE


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
        raw: float32 [CHOSEN, width], their gradients as the last backward pass left them.
        sizes: how much of each line of `raw` is taken.
        clean: they were seen without a gradient since the last step.
    """

    references: list[weakref.ref[Tensor]]
    raw: Floats = field(default_factory=lambda: np.zeros((CHOSEN, _WIDTH), dtype=np.float32))
    sizes: list[int] = field(default_factory=lambda: [0] * CHOSEN)
    clean: bool = False

    def gradients(self) -> list[Tensor | None]:
        """Theirs; None for one that has none."""
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
                one.clean = all(map(_is_clear, one.gradients()))

    def after_backward(self) -> None:
        """Keep what the backward pass left."""
        for one in self._followed.values():
            for i, grad in enumerate(one.gradients()):
                one.sizes[i] = _copy(grad, one.raw[i])

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
        one.clean = False
        one.sizes = [0] * CHOSEN
        return fate

    def clear(self) -> None:
        """Forget all."""
        self._followed.clear()


def any_left(leaves: Iterable[Tensor]) -> bool:
    """Whether any of the first few leaves still has a gradient that is not zero."""
    held = [leaf.grad for leaf in leaves][:CHOSEN]
    return not all(map(_is_clear, held))


def _choose(parameters: Sequence[Tensor]) -> list[Tensor]:
    """A few parameters, spread over them all."""
    n = len(parameters)
    places = sorted({round(i * (n - 1) / (CHOSEN - 1)) for i in range(CHOSEN)}) if n else []
    return [parameters[i] for i in places]


def _kept(one: _Followed) -> float:
    """Norm of the gradients over that of what was kept of them; NaN if nothing was."""
    now = np.zeros(_WIDTH, dtype=np.float32)
    applied = raw = 0.0
    for i, grad in enumerate(one.gradients()):
        m = one.sizes[i]
        if m and _copy(grad, now) == m:
            applied += _power(now[:m])
            raw += _power(one.raw[i, :m])
    return math.sqrt(applied / raw) if raw > 0 and math.isfinite(raw) else math.nan


def _power(x: Floats) -> float:
    return float(np.sum(np.square(x, dtype=np.float64)))


def _copy(grad: Tensor | None, out: Floats) -> int:
    """Copy a part of a gradient, always the same; how many elements that are."""
    if grad is None:
        return 0
    held = local(grad)
    kind, n = kind_of(held), held.numel()
    if not kind or not n or not holds_memory(held):
        return 0
    return sampling.gather(held.data_ptr(), n, kind, LINES, 0, out)


def _is_clear(grad: Tensor | None) -> bool:
    """Whether there is no gradient, or one of zeros; one that cannot be read counts as cleared."""
    if grad is None:
        return True
    part = np.zeros(_WIDTH, dtype=np.float32)
    return not part[: _copy(grad, part)].any()
