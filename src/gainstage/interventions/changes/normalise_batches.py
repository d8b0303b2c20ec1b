"""Batch normalisation before each hidden activation."""

from __future__ import annotations

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
        axes = _axes(x.shape)
        if axes:
            deviation, mean = torch.std_mean(x, axes, correction=0, keepdim=True)
            x = (x - mean) / (deviation.square() + 1e-5).sqrt()
        return activation(x)

    with hidden_activations(ACTIVATIONS, normalised, first=RECTIFIERS):
        yield


def _axes(shape: Sequence[int]) -> tuple[int, ...]:
    """What is taken together: of [batch, units], of [batch, channels, *space], of sequences."""
    batch = (0,) if len(shape) == 2 else (0, *range(2, len(shape)))
    values = 1
    for axis in batch[: len(shape)]:
        values *= shape[axis]
    if len(shape) in {2, 4, 5} and values >= LEAST:
        return batch
    return (-1,) if shape and shape[-1] >= LEAST else ()
