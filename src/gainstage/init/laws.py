"""From which law, and at which size, a tensor was drawn: likelihoods and tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from gainstage.init.drawing import CUT, CUT_STD, middle_of
from gainstage.theory.schemes import Law

_EXCESS: Final[dict[Law, float]] = {
    "normal": 2.0,
    "uniform": 0.8,
    "truncated": 1.3655,
    "sparse": 2.0,
}
"""Variance of (w/std)^2: fourth moment minus 1; by which the test on the variance is scaled."""
EXACT: Final = 1e-3
"""Relative deviation of an orthogonal matrix's size that counts as none."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a tensor looks like.

    Attributes:
        law: the likeliest of those known; None for an empty or complex one, or if not all is
            finite.
        count: elements that were drawn.
        rms: over all of them.
        peak: largest magnitude.
    """

    law: Law | None
    count: int
    rms: float
    peak: float


def look(tensor: Tensor) -> Look:
    """Find the law that a tensor was most likely drawn from.

    Args:
        tensor: [out, in, ...].

    Example:
        >>> look(torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) - 0.5).law
        'uniform'
    """
    real = tensor.detach().abs() if tensor.is_complex() else tensor.detach()
    wide, count = real.double().cpu(), tensor.numel()
    if not count:
        return Look(None, 0, 0.0, 0.0)
    rms, peak = float(wide.square().mean().sqrt()), float(wide.abs().max())
    if tensor.is_complex() or not math.isfinite(rms):
        return Look(None, count, rms, peak)
    law = _structure(wide, rms) or _shape(rms, peak)
    return Look(law, int((wide != 0).sum()) if law == "sparse" else count, rms, peak)


def _structure(wide: Tensor, rms: float) -> Law | None:
    """Laws that show in how the elements lie."""
    if float(wide.max() - wide.min()) <= 1e-6 * rms or rms == 0:
        return "constant"
    matrix = wide.flatten(1) if wide.dim() > 1 else wide[None]
    if wide.dim() > 2 and float((wide != 0).double().mean()) <= 1.5 / math.prod(wide.shape[2:]):
        middle = middle_of(wide)
        if float(middle.square().sum()) >= 0.999 * float(wide.square().sum()):
            return "identity" if _is_diagonal(middle) else "delta_orthogonal"
    if wide.dim() == 2 and _is_diagonal(wide):
        return "identity"
    if _is_orthogonal(matrix):
        return "orthogonal"
    filled = (matrix != 0).sum(1)
    if int(filled.max()) == int(filled.min()) < matrix.shape[1]:
        return "sparse"
    return None


def _is_diagonal(matrix: Tensor) -> bool:
    diagonal = matrix.diagonal()
    outside = float(matrix.square().sum() - diagonal.square().sum())
    return outside <= 1e-12 * float(matrix.square().sum()) and min(matrix.shape) > 1


def _is_orthogonal(matrix: Tensor) -> bool:
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    if len(short) < 2:
        return False
    products = short @ short.T
    size = products.diagonal().mean()
    off = products - size * torch.eye(len(short), dtype=products.dtype)
    return float(off.norm()) < EXACT * float(size) * math.sqrt(len(short))


def _shape(rms: float, peak: float) -> Law:
    """The likeliest of the laws that are drawn element by element, each at its best size."""
    cut = max(rms / CUT_STD, peak / CUT)
    kept = math.erf(CUT / math.sqrt(2))
    likelihood: dict[Law, float] = {
        "uniform": -math.log(2 * peak),
        "normal": -math.log(rms) - 0.5 * math.log(2 * math.pi) - 0.5,
        "truncated": -math.log(cut * kept) - 0.5 * math.log(2 * math.pi) - rms**2 / cut**2 / 2,
    }
    return max(likelihood, key=likelihood.__getitem__)


def p_value(seen: Look, law: Law, std: float) -> float:
    """Probability that a tensor of that law and deviation looks as far off as this one.

    The test is on the second moment: of normal weights, n rms^2/std^2 is chi-squared with n degrees
    of freedom, which is the F-test of a variance against a known one. Of uniform weights the
    largest of n is tested too, which is much sharper: the smaller p-value counts double.

    Args:
        seen: the tensor.
        law: that is supposed.
        std: deviation that is supposed.
    """
    if std <= 0 or seen.law != law:
        return float(seen.rms == std and seen.law == law)
    ratio = (seen.rms / std) ** 2
    if law not in _EXCESS:
        return float(abs(math.sqrt(ratio) - 1) < EXACT)
    p = _two_sided(ratio, seen.count, _EXCESS[law])
    bound = {"uniform": math.sqrt(3.0) * std, "truncated": CUT * std / CUT_STD}.get(law)
    if bound is None:
        return p
    if seen.peak > bound * (1 + 1e-6):
        return 0.0
    if law == "truncated":
        return p
    highest = (seen.peak / bound) ** seen.count
    return min(1.0, 2 * min(p, highest))


def _two_sided(ratio: float, count: int, excess: float) -> float:
    """Of a mean square over its expectation; by its cube root, which is nearly normal.

    Wilson & Hilferty 1931, for chi-squared with so many degrees of freedom that it has the same
    variance.
    """
    freedom = 2 * count / excess
    z = (ratio ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return math.erfc(abs(z) / math.sqrt(2))
