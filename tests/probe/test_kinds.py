"""What modules are to a watch: stages, losses, or what only holds others."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from gainstage.probe.kinds import (
    has_own_parameters,
    holds_layers,
    is_criterion,
    is_stage,
    op_of,
    parts,
)

NORMS = {
    "weight": parametrizations.weight_norm,
    "spectral": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
}


@pytest.mark.parametrize(
    ("module", "stage", "own", "op"),
    [
        (nn.Linear(2, 2), True, True, "Linear"),
        (nn.ReLU(), True, False, "relu"),
        (nn.CrossEntropyLoss(), False, False, "CrossEntropyLoss"),
        (nn.Sequential(nn.Linear(2, 2)), False, False, "Sequential"),
        (nn.MultiheadAttention(2, 1), True, True, "MultiheadAttention"),
        (parametrizations.weight_norm(nn.Linear(2, 2, bias=False)), True, True, "Linear"),
        (nn.ParameterList([nn.Parameter(torch.ones(2, 2))]), False, True, "ParameterList"),
    ],
)
def test_modules_are_told_apart(module, stage, own, op):
    assert (is_stage(module), has_own_parameters(module), op_of(module)) == (stage, own, op)


def test_a_loss_is_a_criterion_and_one_with_parameters_is_none():
    assert is_criterion(nn.MSELoss())
    assert not is_criterion(nn.Linear(1, 1))


def test_what_makes_a_parameter_is_no_part_of_a_signal_chain():
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    assert list(parts(layer)) == []
    assert list(parts(nn.Sequential(layer))) == [layer]
    assert not is_stage(layer.parametrizations.weight)


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_a_layer_whose_weight_is_parametrised_is_a_stage(watching, step, norm, bias, functional):
    torch.manual_seed(0)
    net = nn.Sequential(
        NORMS[norm](nn.Linear(4, 8, bias=bias)), nn.ReLU(), NORMS[norm](nn.Linear(8, 4, bias=bias))
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with watching(net, optimizer, functional=functional) as seen:
        for _ in range(5):
            step(net, optimizer)
    found = [(seen.site(name, "output").op, name) for name in seen.names("output")]
    assert found == [("Linear", "0"), ("relu", "1"), ("Linear", "2")]
    assert [seen.site("0", "output").shape, seen.names("input")] == [(16, 8), ["0"]]
    assert seen.events("blind") == []


class Keeps(nn.Module):
    """Keeps parameters of the given shapes."""

    def __init__(self, *shapes):
        super().__init__()
        for i, shape in enumerate(shapes):
            self.register_parameter(f"p{i}", nn.Parameter(torch.ones(shape)))


@pytest.mark.parametrize(
    ("module", "several"),
    [
        (Keeps((2, 2), (2,)), False),  # a linear layer of the user's own
        (Keeps((2,), (2,)), False),  # a norm
        (Keeps((2, 2), (2, 2), (2,)), True),
        (Keeps((4, 2, 2), (4, 2, 2)), True),  # experts
        (nn.LSTM(2, 2), False),
        (nn.MultiheadAttention(4, 2, kdim=2, vdim=2), False),
    ],
)
def test_modules_that_keep_several_matrices_are_known(module, several):
    assert holds_layers(module) is several
