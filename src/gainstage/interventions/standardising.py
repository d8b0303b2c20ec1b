"""Features with mean zero and standard deviation one, by the statistics of the first batches."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

BATCHES: Final = 10
"""Batches whose statistics count; then they stay, as those of a training set would."""

SMALLEST: Final = 1e-3
"""A feature is divided by no less than that share of the typical deviation: some never vary."""


class Scale:
    """Means and deviations per feature, taken from the first batches."""

    def __init__(self) -> None:
        self._batches = 0
        self._count = 0
        self._sum = torch.zeros(())
        self._squares = torch.zeros(())

    def __call__(self, x: Tensor, *, channels: bool = False) -> Tensor:
        """The batch [n, features], [n, time, features] or [n, channels, ...], standardised.

        Args:
            x: the batch.
            channels: of three axes the second one counts, as convolutions have it.
        """
        axis = x.dim() - 1 if x.dim() <= 2 + (not channels) else 1
        rows = x.detach().double().movedim(axis, -1).reshape(-1, x.shape[axis])
        if self._batches < BATCHES and torch.is_grad_enabled():
            self._batches += 1
            self._count += len(rows)
            self._sum = self._sum + rows.sum(0)
            self._squares = self._squares + (rows * rows).sum(0)
        if not self._count or self._sum.shape != rows.shape[1:]:
            return x
        mean = self._sum / self._count
        std = (self._squares / self._count - mean * mean).clamp_min(0).sqrt()
        varying = std[std > 0]
        typical = varying.median() if varying.numel() else torch.ones(())
        std = torch.where(std > SMALLEST * typical, std, torch.ones_like(std))
        shape = [1] * x.dim()
        shape[axis] = -1
        return (x - mean.view(shape).to(x)) / std.view(shape).to(x)
