"""The intervention `initialise`."""

import pytest
import torch
from torch import nn

from .parts import change


def test_weights_are_drawn_by_a_scheme_of_ones_own_choice():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(200, 400), nn.ReLU(), nn.Linear(400, 10))
    expected = torch.rand(1)
    torch.manual_seed(0)
    nn.Sequential(nn.Linear(200, 400), nn.ReLU(), nn.Linear(400, 10))
    with change("initialise", scheme="kaiming_normal"):
        net(torch.ones(2, 200))
        drawn = net[2].weight.detach().clone()
        net(torch.ones(2, 200))
    assert drawn.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.05)
    assert torch.equal(net[2].weight, drawn)
    assert torch.equal(torch.rand(1), expected)


def test_wiring_that_cannot_be_read_is_seen_as_it_runs():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(200, 400), nn.Linear(400, 10)

        def forward(self, x):
            x = self.first(x)
            return self.second(torch.relu(x) if x.sum() > 0 else torch.relu(2 * x))

    net = Branching()
    with change("initialise", scheme="kaiming_normal"):
        net(torch.ones(2, 200))
    assert net.second.weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.05)
