"""The intervention `zero-gradients`."""

import pytest
import torch

from .parts import change, linear, step


def test_gradients_are_cleared_after_a_step():
    with change("zero-gradients"):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        step(layer, optimizer)
        assert step(layer, optimizer) == pytest.approx(0.8)
