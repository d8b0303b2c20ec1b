"""The intervention `reinitialise`."""

import pytest
import torch
from torch import nn

from .parts import change, linear


@pytest.mark.parametrize(
    ("activation", "std"), [("relu", (2 / 400) ** 0.5), ("tanh", 5 / 3 / 20), ("linear", 1 / 20)]
)
def test_weights_are_drawn_again_by_the_scheme_of_the_activation(activation, std):
    model = linear(0.0, 400, 400)
    with change("reinitialise", activation=activation):
        model(torch.ones(1, 400))
        drawn = model.weight.clone()
        model(torch.ones(1, 400))
    assert model.weight.std().item() == pytest.approx(std, rel=0.02)
    assert torch.equal(model.weight, drawn)


def test_biases_begin_at_zero_and_norms_stay():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.GRU(3, 3))
    with change("reinitialise"):
        model(torch.ones(2, 3))
    assert not model[0].bias.any()
    assert not model[2].bias_hh_l0.any()
    assert model[1].weight.tolist() == [1.0, 1.0, 1.0]
    for gate in model[2].weight_hh_l0.split(3):
        assert torch.allclose(gate @ gate.T, torch.eye(3), atol=1e-5)


def test_drawing_again_leaves_the_random_numbers_of_the_script_alone():
    model = linear()
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    with change("reinitialise"):
        model(torch.ones(1, 1))
    assert torch.equal(torch.rand(2), wanted)


def test_bare_tensors_are_drawn_when_the_first_backward_reaches_them():
    w = torch.full((300, 200), 9.0, requires_grad=True)
    with change("reinitialise", activation="linear"):
        (torch.ones(1, 300) @ w).sum().backward()
        assert not w.grad.any()
        (torch.ones(1, 300) @ w).sum().backward()
    assert w.grad.unique().tolist() == [1.0]
    assert w.std().item() == pytest.approx((2 / 500) ** 0.5, rel=0.05)
