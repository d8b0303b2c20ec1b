"""What modules are to a watch: stages, losses, or what only holds others."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from gainstage.probe.kinds import (
    has_own_parameters,
    is_cell,
    is_criterion,
    is_stage,
    matrices,
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

    def forward(self, x):
        return x


class OwnLinear(nn.Linear):
    """Torch's, that the user has given another forward."""

    def forward(self, x):
        return super().forward(x) * 2


class Named(nn.ReLU):
    """Torch's under another name."""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        (Keeps((2, 2), (2,)), 1),  # a linear layer of the user's own
        (Keeps((2,), (2,)), 0),  # a norm
        (Keeps((2, 2), (2, 2), (2,)), 2),
        (Keeps((4, 2, 2), (4, 2, 2)), 2),  # experts
        (OwnLinear(2, 2), 1),
        (nn.Linear(2, 2), 0),
        (nn.LSTM(2, 2), 0),
        (nn.MultiheadAttention(4, 2, kdim=2, vdim=2), 0),
    ],
)
def test_matrices_are_counted_where_users_multiply_by_them(module, number):
    assert matrices(module) == number


def test_a_derived_class_does_what_torchs_does():
    assert op_of(Named()) == "relu"
    assert op_of(OwnLinear(2, 2)) == "Linear"
    assert op_of(Keeps((2,))) == "Keeps"


def test_a_step_of_a_recurrence_is_given_a_state():
    x, h, index = torch.ones(2), torch.ones(3), torch.ones(2, dtype=torch.long)
    assert is_cell((x, h))
    assert not is_cell((x, index))
    assert not is_cell((x, None, "reduce"))
