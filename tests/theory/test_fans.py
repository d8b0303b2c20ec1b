"""Fans of every kind of layer: torch's where torch is right, counted where it is not."""

import pytest
import torch
from torch import nn

from gainstage.errors import UsageError
from gainstage.theory import fans


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (nn.Linear(20, 30), lambda w: fans.linear(w.shape)),
        (nn.Conv1d(4, 6, 5), lambda w: fans.convolution(w.shape)),
        (nn.Conv2d(4, 6, (3, 5), dilation=2), lambda w: fans.convolution(w.shape)),
        (nn.Conv3d(2, 3, 3), lambda w: fans.convolution(w.shape)),
    ],
)
def test_plain_layers_have_torchs_fans(layer, found):
    own = found(layer.weight)
    assert (own.fan_in, own.fan_out) == nn.init._calculate_fan_in_and_fan_out(layer.weight)


def terms_of_outputs(layer, x):
    """How many terms each output adds up: with inputs and weights of 1."""
    nn.init.ones_(layer.weight)
    return layer(torch.ones_like(x)).detach()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_adds_up_its_kernel_over_the_stride(stride, groups):
    layer = nn.ConvTranspose2d(4, 6, 6, stride=stride, groups=groups, bias=False)
    terms = terms_of_outputs(layer, torch.zeros(1, 4, 24, 24))[..., 12:-12, 12:-12]
    own = fans.transposed(layer.weight.shape, groups=groups, stride=(stride, stride))
    assert float(terms.mean()) == pytest.approx(own.fan_in)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_see_their_own_channels_only(groups):
    layer = nn.Conv2d(8, 16, 3, groups=groups, bias=False)
    own = fans.convolution(layer.weight.shape, groups=groups)
    x = torch.ones(1, 8, 9, 9, requires_grad=True)
    nn.init.ones_(layer.weight)
    layer(x).sum().backward()
    assert float(layer(x).detach()[0, 0, 3, 3]) == own.fan_in
    assert float(x.grad[0, 0, 4, 4]) == own.fan_out


def test_gates_and_projections_are_matrices_of_their_own():
    assert fans.recurrent((3 * 8, 5), "GRU") == fans.Fans(5, 8.0, 3)
    assert fans.recurrent((8, 8), "RNN") == fans.Fans(8, 8, 1)
    assert fans.linear((3 * 8, 8), 3).fan_avg == 8


def test_a_table_adds_up_one_row():
    assert fans.embedding((1000, 64)) == fans.Fans(1, 64)
    assert fans.bilinear((5, 3, 4)).fan_in == 12


def test_an_unknown_mode_is_told():
    with pytest.raises(UsageError, match="no fan mode 'fan_on'; there are: fan_in, fan_out"):
        fans.linear((2, 3)).of("fan_on")


@pytest.mark.parametrize(
    "layer", [nn.ConvTranspose2d(16, 32, 4, stride=2), nn.LSTM(64, 32), nn.GRU(64, 32)]
)
def test_torchs_default_is_drawn_by_the_fan_that_torch_uses(layer):
    weight = next(layer.parameters())
    op = type(layer).__name__
    own = fans.torch_fan_in(op, weight.shape, fans.linear(weight.shape))
    assert float(weight.detach().abs().max()) == pytest.approx(own**-0.5, rel=0.01)
