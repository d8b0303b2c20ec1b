"""Whether things that should differ do: units of a layer, outputs of samples, two statistics."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn

_ROWS: Final = 64
_COLUMNS: Final = 256
"""At most so much of a matrix is looked at: what is alike everywhere is alike there."""

_NORM: Final = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the common base of all kinds
_DROPOUT: Final = nn.modules.dropout._DropoutNd  # noqa: SLF001


def unit_spread(weight: Tensor) -> float:
    """How much the units of a layer differ, relative to their size; 0 if all are alike.

    Of rows and of columns the smaller counts, for either may number the units. A layer whose
    units start alike, and get the same gradient, has one unit for ever.

    Args:
        weight: a matrix, or filters [units, ...], or their gradient.

    Returns:
        Standard deviation over the units (rms over the rest) by the rms; NaN without two units,
        or if all is zero.

    Example:
        >>> [unit_spread(x) for x in (torch.ones(4, 3), torch.ones(1, 1), torch.zeros(2, 2))]
        [0.0, nan, nan]
    """
    x = weight.detach().reshape(weight.shape[0], -1)[:_ROWS, :_COLUMNS].double()
    size = _rms(x)
    spreads = [_rms(x - x.mean(axis, keepdim=True)) for axis in (0, 1) if x.shape[axis] > 1]
    return min(spreads) / size if spreads and size > 0 else math.nan


def sample_spread(output: Tensor) -> float:
    """How much of a stage's output depends on the sample; 0 if it is the same for all.

    Args:
        output: samples along the first axis.

    Returns:
        Standard deviation over the samples (rms over the rest) by the rms; NaN for one sample.

    Example:
        >>> sample_spread(torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
        0.0
    """
    x = output.detach().reshape(output.shape[0], -1)[:_ROWS, :_COLUMNS].double()
    size = _rms(x)
    return _rms(x - x.mean(0, keepdim=True)) / size if x.shape[0] > 1 and size > 0 else math.nan


def running_gap(module: Any, given: Tensor) -> float:
    """How far a BatchNorm's output would move if it used its running statistics.

    Args:
        module: a BatchNorm in training mode that keeps running statistics.
        given: its input.

    Returns:
        In standard deviations of its normalised output, rms over the channels: of the shift of
        the mean and of the change of scale together.
    """
    axes = [axis for axis in range(given.dim()) if axis != 1]
    variance, mean = torch.var_mean(given.detach().float(), axes, unbiased=False)
    known = module.running_var.float() + module.eps
    shift = (mean - module.running_mean.float()) / known.sqrt()
    scale = ((variance + module.eps) / known).sqrt() - 1.0
    return float((shift.square() + scale.square()).mean().sqrt())


def keeps_statistics(module: nn.Module | None) -> bool:
    """Whether a module is a BatchNorm with running statistics."""
    return isinstance(module, _NORM) and module.running_mean is not None


def has_modes(module: nn.Module | None) -> bool:
    """Whether a module does something else in evaluation than in training."""
    if isinstance(module, _DROPOUT):
        return module.p > 0
    dropout = getattr(module, "dropout", 0.0)
    return keeps_statistics(module) or (isinstance(dropout, float) and dropout > 0)


def _rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())
