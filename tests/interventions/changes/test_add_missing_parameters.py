"""The intervention `add-missing-parameters`."""

import pytest
import torch
from torch import nn

from .parts import change, linear


def test_parameters_that_nobody_steps_join_an_optimiser():
    model = nn.Sequential(linear(), linear())
    with change("add-missing-parameters"):
        optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        assert model[1].weight.item() == pytest.approx(0.9)


def test_a_layer_that_no_module_lists_joins_too():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.rest = linear(), [linear()]

        def forward(self, x):
            return self.rest[0](self.first(x))

    model = Net()
    with change("add-missing-parameters"):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    assert model.rest[0].weight.item() == pytest.approx(0.9)


def test_what_is_frozen_or_has_another_owner_joins_nothing():
    model = nn.Sequential(linear(), linear(), linear())
    model[1].requires_grad_(requires_grad=False)
    with change("add-missing-parameters"):
        first = torch.optim.SGD(model[0].parameters(), lr=0.1)
        other = torch.optim.SGD(model[2].parameters(), lr=0.1)
        model(torch.ones(1, 1)).sum().backward()
        first.step()
    assert len(first.param_groups) == len(other.param_groups) == 1
    assert model[1].weight.item() == 1.0


def test_parameters_join_a_group_that_a_scheduler_knows():
    layers = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    with change("add-missing-parameters"):
        optimizer = torch.optim.SGD(layers[0].parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
        for _ in range(3):
            layers(torch.ones(1, 1)).sum().backward()
            optimizer.step()
            scheduler.step()
    assert len(optimizer.param_groups) == 1
    assert len(optimizer.param_groups[0]["params"]) == 4
