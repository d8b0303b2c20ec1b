"""The intervention `temper-activations`."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .parts import change, linear


def test_what_enters_a_squashing_function_is_brought_to_unit_scale_for_good():
    layer = linear(50.0)
    with change("temper-activations", most=1.0):
        for function in (torch.tanh, nn.Tanh(), F.tanh, torch.Tensor.tanh):
            model = nn.Sequential(layer)
            value = function(model(torch.ones(1, 1)))
            assert value.item() == pytest.approx(math.tanh(1.0))
            assert function(model(torch.full((1, 1), 0.1))).item() == pytest.approx(math.tanh(0.1))
        assert torch.sigmoid(torch.tensor(9.0)).item() == pytest.approx(1 / (1 + math.exp(-9)))


def test_each_call_without_a_module_is_told_by_its_order_since_the_last_backward():
    small, large = (torch.full((2,), value, requires_grad=True) for value in (0.5, 8.0))
    with change("temper-activations", most=1.0):
        for _ in range(2):
            first, second = torch.tanh(small), torch.tanh(large)
            (first + second).sum().backward()
            assert first[0].item() == pytest.approx(math.tanh(0.5))
            assert second[0].item() == pytest.approx(math.tanh(1.0))
