"""The intervention `skip-non-finite`."""

import math

import pytest
import torch

from .parts import change, linear, step


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_step_is_made_on_a_gradient_that_is_not_finite(bad):
    with change("skip-non-finite"):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        assert step(layer, optimizer, x=bad) == 1.0
        optimizer.zero_grad()
        assert step(layer, optimizer) == pytest.approx(0.9)
