"""Rate and decay of updates by hand, inferred from the first one.

Where the buffers of a momentum are still zero, an update by gradient descent is exactly
``-lr (grad + decay weight)``, and AdamW's first one ``-lr (grad / (|grad| + eps) + decay weight)``,
as is Lion's with an eps of zero.
Weight, gradient and update are known, so two numbers are left, to be found from thousands of
elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gainstage.probe.ranks import local

Floats = NDArray[np.float64]

LEAST: Final = 50
"""Elements of a weight that is asked."""
MOST: Final = 65536
"""Elements that are looked at in each."""
ASKED: Final = 64
"""Weights that are asked."""
AGREED: Final = 0.05
"""How far the decays of two weights may differ, as a share."""
INEXACT: Final = 1e-4
"""What may be left of an exact fit beside rounding, as a share of what was fitted."""
NOISY: Final = 0.03
"""What may be left with it."""
CERTAIN: Final = 4.0
"""Standard errors that a decay must be above, to be one."""
FAINT: Final = 1e-6
"""What it must be above besides."""
NO_DECAY: Final = 1e-3
"""A decay that is not seen is none where one of this size would have been."""

ADAMS_EPS: Final = 1e-8
"""What Adam adds to the size of the gradient, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What an update was made with.

    Attributes:
        lr: factor of the gradient (of its sign, if it was normalised) in the first update.
            Nesterov's is 1 + momentum times the rate, that of an averaged gradient 1 - momentum.
        weight_decay: of the weight, relative to that.
        decoupled: the gradient was normalised, and the decay was not: AdamW.
    """

    lr: float
    weight_decay: float
    decoupled: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """One weight around an update: float64 [n] each.

    Attributes:
        before: elements of the weight.
        after: the same ones.
        grad: theirs.
        kept: share of the gradient that the update was given, where the script has scaled it.
        eps: relative rounding of the weight.
    """

    before: Floats
    after: Floats
    grad: Floats
    kept: float = 1.0
    eps: float = 2.0**-24


def infer(updates: Sequence[Update]) -> Rates | None:
    """Rate and decay of a first update.

    Args:
        updates: weights before and after, with the gradients that the update used.

    Returns:
        Those that at least two weights of 50 elements or more agree on; None where most are
        updated by some other rule, or the decay is lost in rounding.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> w, g = rng.normal(size=(2, 3, 100))
        >>> stepped = w - 0.1 * (g + 0.01 * w)
        >>> found = infer([Update(*one) for one in zip(w, stepped, g)])
        >>> round(found.lr, 9), round(found.weight_decay, 9), found.decoupled
        (0.1, 0.01, False)
        >>> infer([Update(*one) for one in zip(w, w - 0.1 * g**3, g)]) is None
        True
    """
    asked = [one for one in updates if one.before.size >= LEAST and one.before.any()]
    fits = [_fit(one.grad, one) for one in asked]
    found = _agreed([fit for fit in fits if fit is not None], len(asked))
    if found is not None:
        return Rates(*found)
    for eps in (ADAMS_EPS, 0.0):  # Adam; Lion and descent by signs
        with np.errstate(invalid="ignore"):
            signs = [np.nan_to_num(one.grad / (np.abs(one.grad) + eps)) for one in asked]
        normed = [_fit(sign, one) for sign, one in zip(signs, asked, strict=True)]
        found = _agreed([fit for fit in normed if fit is not None], len(asked))
        # without decay it may be one that was part of the gradient, and went with its size
        if found is not None and found[1] > 0:
            return Rates(*found, decoupled=True)
    return None


def _agreed(fits: list[tuple[float, float, float]], asked: int) -> tuple[float, float] | None:
    """Rate and decay on which weights agree, of rates, decays and margins of those that fit."""
    if len(fits) < max(2, asked / 2):
        return None
    lr, decay, margin = np.array(fits).T
    seen = np.abs(decay) > np.maximum(margin, FAINT)
    if not seen.any():
        unseen = margin < NO_DECAY
        return (float(np.median(lr[unseen])), 0.0) if unseen.sum() >= 2 else None
    usual = float(np.median(decay[seen]))
    agree = seen & (np.abs(decay - usual) <= np.maximum(AGREED * usual, margin))
    if usual <= 0 or agree.sum() < max(2, seen.sum() / 2):
        return None
    return float(np.median(lr[agree])), usual


def _fit(direction: Floats, update: Update) -> tuple[float, float, float] | None:
    """Rate, decay, and how far the decay may be off, if an update is made of these two exactly.

    At the worst, rounding goes along with the weight.
    """
    change = update.after - update.before
    fit = _least_squares(change, direction, update.before)
    if fit is None:
        return None
    along, shrink, left, error = fit
    size, lost = _rms(change), update.eps * _rms(update.before)
    if left > min(INEXACT * size + lost, NOISY * size) or along >= 0:
        return None
    margin = max(CERTAIN * error, update.eps)
    return -along / update.kept, shrink / along * update.kept, margin / -along * update.kept


def _least_squares(y: Floats, a: Floats, b: Floats) -> tuple[float, float, float, float] | None:
    """Factors of `a` and `b` in `y`, rms of what is left, and standard error of the second.

    None where `a` and `b` are not two directions.
    """
    aa, ab, bb = float(a @ a), float(a @ b), float(b @ b)
    free = aa * bb - ab * ab
    if not (np.isfinite(free) and np.isfinite(y).all() and free > 1e-4 * aa * bb):
        return None
    ya, yb = float(y @ a), float(y @ b)
    first, second = (ya * bb - yb * ab) / free, (yb * aa - ya * ab) / free
    left = _rms(y - first * a - second * b)
    return first, second, left, left * float(np.sqrt(aa / free))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values * values)))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A weight and its gradient as a backward pass left them.

    Attributes:
        weight: elements of it.
        values: those of the gradient.
        grad: the gradient itself, which may be clipped yet, or zeroed.
        version: of it.
    """

    weight: Floats
    values: Floats
    grad: Tensor
    version: int


class FirstUpdate:
    """Keeps weights and gradients until the first update, and infers its rate; no more after it.

    Attributes:
        over: the first update was seen.
    """

    def __init__(self) -> None:
        self.over = False
        self._kept: dict[str, _Kept] = {}

    def keep(self, named: Iterable[tuple[str, Tensor, Tensor]]) -> None:
        """After a backward: keep some elements of each.

        Args:
            named: names of weights, the weights and their gradients.
        """
        self._kept = {}
        for name, weight, grad in named:
            held, slope = local(weight), local(grad)
            if len(self._kept) < ASKED and _is_plain(held, slope):
                self._kept[name] = _Kept(_some(held), _some(slope), slope, slope._version)  # noqa: SLF001

    def infer(self, named: Iterable[tuple[str, Tensor]]) -> Rates | None:
        """The update was made: find out its rate, and let go of all that was kept.

        Args:
            named: weights after it, with their names.
        """
        kept, self._kept, self.over = self._kept, {}, True
        after = {name: weight for name, weight in named if name in kept}
        return infer([*_updates(kept, after)])

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept = {}


def _updates(kept: Mapping[str, _Kept], after: Mapping[str, Tensor]) -> Iterable[Update]:
    for name, weight in after.items():
        one, held = kept[name], local(weight)
        now = _some(held)
        share = _share(one, weight.grad)
        if share is not None and now.shape == one.weight.shape and held.is_floating_point():
            yield Update(one.weight, now, one.values, share, torch.finfo(held.dtype).eps / 2)


def _share(kept: _Kept, latest: Tensor | None) -> float | None:
    """What share of its gradient a weight was updated by; None if that cannot be told.

    A script may clip the gradient where it lies, or add the decay there.
    """
    grad = kept.grad if latest is None else local(latest)
    now = _some(grad)
    if now.shape != kept.values.shape:
        return None
    if not now.any():  # zeroed since: that is one change
        return 1.0 if grad is not kept.grad or grad._version <= kept.version + 1 else None  # noqa: SLF001
    fit = _least_squares(now, kept.values, kept.weight)
    if fit is None or fit[2] > INEXACT * _rms(now):
        return None
    return fit[0] if fit[0] > 0 else None


def _is_plain(*tensors: Tensor) -> bool:
    """Whether elements of these can be read, and changes of them are counted."""
    return all(
        one.layout == torch.strided
        and one.is_floating_point()
        and not (one.is_meta or one.is_inference())
        and one.numel() >= LEAST
        for one in tensors
    )


def _some(tensor: Tensor) -> Floats:
    """The first elements of a tensor, copied: float64 [n]."""
    flat = tensor.detach().reshape(-1)[:MOST]
    found: Floats = flat.to("cpu", torch.float64, copy=True).numpy()
    return found
