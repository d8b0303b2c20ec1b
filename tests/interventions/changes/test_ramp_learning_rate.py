"""The intervention `ramp-learning-rate`."""

import pytest
import torch

from .parts import change, linear, step


def test_the_rate_rises_from_step_to_step_and_stays_at_the_top():
    layer = linear()
    optimizer = torch.optim.SGD(layer.parameters(), lr=7.0)
    moved, before = [], 1.0
    with change("ramp-learning-rate", low=1e-3, high=1.0, steps=4):
        for _ in range(5):
            optimizer.zero_grad()
            after = step(layer, optimizer)
            moved.append(before - after)
            before = after
            assert optimizer.param_groups[0]["lr"] == 7.0
    assert moved == pytest.approx([1e-3, 1e-2, 1e-1, 1.0, 1.0], rel=1e-4)
