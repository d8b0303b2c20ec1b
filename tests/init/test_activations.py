"""Activations by name, module or callable, as functions of one variable."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gainstage.errors import UnknownNameError, UsageError
from gainstage.init.activations import activation
from gainstage.theory.gains import GAINS

X = np.linspace(-3, 3, 25)


@pytest.mark.parametrize("name", [n for n in GAINS if n != "linear"])
def test_a_name_is_torchs_function(name):
    expected = getattr(F, name)(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(activation(name)(X), expected)


@pytest.mark.parametrize("name", GAINS)
def test_slopes_are_those_of_finite_differences(name):
    found = activation(name)
    value, slope = found.with_slope(X + 0.0123)
    step = 1e-6
    near = (found(X + 0.0123 + step) - found(X + 0.0123 - step)) / (2 * step)
    np.testing.assert_allclose(slope, near, atol=1e-6)
    np.testing.assert_allclose(value, found(X + 0.0123))


def test_a_module_is_read_on_a_copy():
    module = nn.PReLU()
    activation(module)
    assert module.weight.dtype == torch.float32
    other = nn.Hardtanh(-2, 2)
    assert activation(other)(np.array([-5.0, 1.0])).tolist() == [-2.0, 1.0]


def test_parameters_are_told_in_the_name():
    assert activation("elu", alpha=0.5).name == "elu(alpha=0.5)"
    assert activation(nn.ELU(0.5)).name == "ELU"
    assert activation(torch.tanh).name == "tanh"


def test_an_unknown_name_is_told():
    with pytest.raises(UnknownNameError, match="There are: celu, elu"):
        activation("qqqq")


def test_what_draws_is_refused_and_leaves_the_global_generator_alone():
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.randn_like(x)

    state = torch.get_rng_state()
    with pytest.raises(UsageError, match="depends on others, or on chance"):
        activation(Noisy())
    with pytest.raises(UsageError, match="AlphaDropout has no gain: what it drops"):
        activation(nn.AlphaDropout(1e-6))
    assert torch.equal(torch.get_rng_state(), state)
