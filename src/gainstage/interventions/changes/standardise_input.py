"""Each feature of the input with mean zero and standard deviation one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models

BATCHES: Final = 10
"""Batches whose statistics count; then they stay, as those of a training set would."""

SMALLEST: Final = 1e-3
"""A feature is divided by no less than that share of the typical deviation: some never vary."""


@INTERVENTIONS.register("standardise-input")
def standardise_input() -> AbstractContextManager[None]:
    """Standardise the first floating input of each outermost module, by its first batches."""
    scales: WeakKeyDictionary[nn.Module, Scale] = WeakKeyDictionary()

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        for i, value in enumerate(inputs):
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1:
                if value.requires_grad:  # made by another part of the network: no data
                    return None
                scale = scales.setdefault(module, Scale())
                return (*inputs[:i], scale(value), *inputs[i + 1 :])
        return None

    return around_models(before)


class Scale:
    """Means and deviations per feature, taken from the first batches."""

    def __init__(self) -> None:
        self._batches = 0
        self._count = 0
        self._sum = torch.zeros(())
        self._squares = torch.zeros(())

    def __call__(self, x: Tensor) -> Tensor:
        """The batch [n, features], [n, time, features] or [n, channels, ...], standardised."""
        axis = x.dim() - 1 if x.dim() <= 3 else 1
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
