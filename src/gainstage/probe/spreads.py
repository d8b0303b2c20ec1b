"""Whether things that should differ do: units of a layer, outputs of samples, two statistics."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn

from gainstage.sketch.reader import kind_of
from gainstage.sketch.sampling import FLOAT32
from gainstage.sketch.units import spreads

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
    size, over_rows, over_columns = _spreads(weight)
    rows, columns = weight.shape[0], weight.numel() // max(weight.shape[0], 1)
    found = [over_rows] * (rows > 1) + [over_columns] * (columns > 1)
    return min(found) / size if found and size > 0 else math.nan


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
    size, over_samples, _ = _spreads(output)
    return over_samples / size if output.shape[0] > 1 and size > 0 else math.nan


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


def _spreads(tensor: Tensor) -> tuple[float, float, float]:
    """The rms, the spread over the first axis, and that over the others, of a part of a tensor."""
    if not tensor.numel():
        return 0.0, 0.0, 0.0
    shape = tensor.shape[0], tensor.numel() // tensor.shape[0]
    held = tensor.detach()
    if kind_of(held) != FLOAT32:
        held = held.reshape(shape)[:_ROWS, :_COLUMNS].to("cpu", torch.float32).contiguous()
        shape = held.shape[0], held.shape[1]
    size, over_rows, over_columns = spreads(held.data_ptr(), shape, (_ROWS, _COLUMNS))
    return float(size), float(over_rows), float(over_columns)
