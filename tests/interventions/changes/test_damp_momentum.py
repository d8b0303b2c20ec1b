"""The intervention `damp-momentum`."""

import pytest
import torch

from .parts import change, linear, step


def test_momentum_is_held_to_a_bound_as_long_as_a_step_runs():
    layer = linear(0.0)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, momentum=0.999)
    with change("damp-momentum", most=0.5):
        step(layer, optimizer)
        optimizer.zero_grad()
        assert step(layer, optimizer) == pytest.approx(-2.5)  # -1, then -(1 + 0.5)
    assert optimizer.param_groups[0]["momentum"] == 0.999
    adam = torch.optim.Adam(layer.parameters(), betas=(0.99, 0.9))
    seen = []
    with change("damp-momentum", most=0.5):
        adam.register_step_pre_hook(lambda one, *_: seen.append(one.param_groups[0]["betas"]))
        step(layer, adam)
    assert (seen, adam.param_groups[0]["betas"]) == ([(0.5, 0.9)], (0.99, 0.9))
