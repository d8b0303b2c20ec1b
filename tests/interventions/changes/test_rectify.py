"""The intervention `rectify`."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .parts import change, linear


def test_hidden_sigmoids_become_rectifiers_and_the_last_one_stays():
    model = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid(), nn.Linear(1, 1), nn.Sigmoid())
    for layer in (model[0], model[2]):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    with change("rectify"):
        assert model(torch.tensor([[-3.0]])).item() == 0.5
        assert model(torch.tensor([[2.0]])).item() == pytest.approx(1 / (1 + math.exp(-2)))


class Functional(nn.Module):
    def __init__(self, squash):
        super().__init__()
        self.squash, self.layers = squash, nn.ModuleList([linear(), linear()])

    def forward(self, x):
        return self.squash(self.layers[1](self.squash(self.layers[0](x))))


@pytest.mark.parametrize("squash", [torch.sigmoid, F.sigmoid, torch.Tensor.sigmoid])
def test_hidden_functional_sigmoids_become_rectifiers_from_the_second_pass_on(squash):
    name = squash.__name__
    owner = F if squash is F.sigmoid else torch if squash is torch.sigmoid else torch.Tensor
    with change("rectify"):
        model = Functional(getattr(owner, name))
        x = torch.tensor([[-3.0]])
        first = model(x).item()
        assert first == pytest.approx(torch.special.expit(torch.special.expit(x)).item())
        assert model(x).item() == 0.5
    assert Functional(squash)(x).item() == pytest.approx(first)


def test_hidden_squashing_of_bare_tensors_is_told_by_its_order():
    v, w = (torch.ones(1, 1, requires_grad=True) for _ in range(2))
    x = torch.tensor([[-3.0]])
    seen = []
    with change("rectify"):
        for _ in range(2):
            out = torch.tanh(torch.tanh(x @ v) @ w)
            seen.append(out.item())
            out.sum().backward()
    assert seen == [pytest.approx(math.tanh(math.tanh(-3.0))), 0.0]
