"""The table of gains is what quadrature gives; closed forms, and torch's own."""

import pytest
import torch

from gainstage.init.gains import gain
from gainstage.theory.gains import GAINS, forward_gain


@pytest.mark.parametrize("name", GAINS)
def test_the_table_is_what_quadrature_gives(name):
    assert GAINS[name].forward == pytest.approx(gain(name), abs=6e-11)
    assert GAINS[name].backward == pytest.approx(gain(name, "backward"), abs=6e-11)


def test_where_torch_knows_a_gain_it_agrees_but_for_tanh_and_selu():
    for name in ("relu", "leaky_relu", "linear"):
        assert GAINS[name].forward == pytest.approx(torch.nn.init.calculate_gain(name), abs=1e-4)
    assert torch.nn.init.calculate_gain("tanh") == pytest.approx(5 / 3)  # a rule of thumb
    assert GAINS["tanh"].forward == pytest.approx(1.5925, abs=1e-4)


@pytest.mark.parametrize(
    "name", ["gelu", "silu", "mish", "elu", "hardswish", "relu6", "softplus", "prelu"]
)
def test_torch_knows_no_gain_of_these(name):
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        torch.nn.init.calculate_gain(name)


def test_an_operation_is_known_by_the_name_of_its_module_too():
    assert forward_gain("LeakyReLU", 0.0) == GAINS["leaky_relu"].forward
    assert forward_gain("ReLU", 0.0) == forward_gain("relu", 1.0)
    assert forward_gain("Conv2d", 7.0) == 7.0
