"""Batch normalisation before each hidden activation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor

from gainstage.interventions.hidden import ACTIVATIONS, RECTIFIERS, hidden_activations
from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function

LEAST: Final = 8
"""Fewest values that a mean and a deviation are taken of."""


@INTERVENTIONS.register("normalise-batches")
@contextmanager
def normalise_batches() -> Iterator[None]:
    """Normalise what enters each activation function that feeds further layers.

    Over the batch, and over space, unit by unit (Ioffe & Szegedy, "Batch normalization", 2015,
    algorithm 1, without its two parameters); a sequence, and what has too few samples, over the
    units instead (Ba, Kiros & Hinton, "Layer normalization", 2016). Recurrent layers of torch's own
    stay as they are.
    """

    def normalised(activation: Function, x: Tensor) -> Any:
        axes = _axes(x.shape, convolved=calls.convolved) if x.layout == torch.strided else ()
        if axes:
            deviation, mean = torch.std_mean(x, axes, correction=0, keepdim=True)
            x = (x - mean) / (deviation.square() + 1e-5).sqrt()
        return activation(x)

    with hidden_activations(ACTIVATIONS, normalised, first=RECTIFIERS) as calls:
        yield


def _axes(shape: Sequence[int], *, convolved: bool) -> tuple[int, ...]:
    """What is taken together: of [batch, units], of [batch, channels, *space], of sequences."""
    dims = len(shape)
    if dims in {2, 4, 5} or (dims == 3 and convolved):
        batch = (0, *range(2, dims))
        if math.prod(shape[axis] for axis in batch) >= LEAST:
            return batch
    return (-1,) if dims and shape[-1] >= LEAST else ()
