"""Gains equal closed forms to 1e-10; where a deep stack settles, and in which phase it is."""

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gainstage.errors import UnknownNameError, UsageError
from gainstage.init.gains import VarianceMap, gain

ROOT3 = math.sqrt(3)

# name or function, E f(z)^2, E f'(z)^2
CLOSED = {
    "linear": ("linear", 1.0, 1.0),
    "relu": ("relu", 1 / 2, 1 / 2),
    "leaky": (nn.LeakyReLU(0.3), (1 + 0.09) / 2, (1 + 0.09) / 2),
    "gelu": (
        "gelu",
        1 / 3 + 1 / (2 * math.pi * ROOT3),
        1 / 3 + 1 / (2 * math.pi * ROOT3) + 1 / (6 * math.pi * ROOT3),
    ),
    "erf": (torch.erf, 2 / math.pi * math.asin(2 / 3), 4 / math.pi / math.sqrt(5)),
    "sin": (torch.sin, (1 - math.exp(-2)) / 2, (1 + math.exp(-2)) / 2),
    "exp": (torch.exp, math.exp(2), math.exp(2)),
    "square": (torch.square, 3.0, 4.0),
    "abs": (torch.abs, 1.0, 1.0),
}

ANCHORS = {
    "relu": (1.4142, 1.4142),
    "gelu": (1.5335, 1.4811),
    "silu": (1.6765, 1.6233),
    "mish": (1.4868, 1.4448),
    "elu": (1.2452, 1.2234),
    "hardswish": (1.7367, 1.6701),
    "selu": (1.0000, 0.9660),
    "tanh": (1.5925, 1.4674),
    "sigmoid": (1.8462, 4.7226),
    "softplus": (1.0419, 1.8462),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_to_ten_digits(name):
    fn, forward, backward = CLOSED[name]
    for direction, energy in (("forward", forward), ("backward", backward)):
        found = gain(fn, direction)
        assert abs(found - energy**-0.5) < 1e-10
        assert abs(found - energy**-0.5) <= found.error + 1e-15
        assert found.error < 1e-10


@pytest.mark.parametrize("name", ANCHORS)
def test_figures_to_four_digits(name):
    forward, backward = ANCHORS[name]
    assert gain(name) == pytest.approx(forward, abs=1.0e-4)
    assert gain(name, "backward") == pytest.approx(backward, abs=1.0e-4)


@given(st.floats(0.0, 3.0))
@settings(max_examples=30, deadline=None)
def test_leaky_relu_of_any_slope(slope):
    exact = math.sqrt(2 / (1 + slope**2))
    assert gain("leaky_relu", negative_slope=slope) == pytest.approx(exact, abs=1e-12)
    assert gain(nn.LeakyReLU(slope), "backward") == pytest.approx(exact, abs=1e-12)


@given(st.floats(-2, 2), st.floats(0.1, 5))
@settings(max_examples=30, deadline=None)
def test_the_identity_needs_no_gain_whatever_the_input(mean, std):
    assert gain(lambda x: x, mean=mean, std=std) == pytest.approx(1.0, abs=1e-12)


@given(st.sampled_from(sorted(ANCHORS)), st.floats(-1, 1), st.floats(0.8, 3))
@settings(max_examples=30, deadline=None)
def test_a_gain_is_what_sampling_finds(name, mean, std):
    x = mean + std * torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    sampled = x.square().mean().sqrt() / getattr(F, name)(x).square().mean().sqrt()
    assert gain(name, mean=mean, std=std) == pytest.approx(float(sampled), rel=0.02)


def test_modules_with_parameters_of_their_own():
    assert gain(nn.PReLU(init=0.25)) == gain(nn.LeakyReLU(0.25))
    many = nn.PReLU(4)
    with torch.no_grad():
        many.weight.copy_(torch.tensor([0.0, 0.0, 0.5, 0.5]))
    assert gain(many) == pytest.approx(math.sqrt(2 / (1 + 0.125)))  # the mean of the squares
    assert gain(nn.RReLU(0.2, 0.2)) == pytest.approx(gain(nn.LeakyReLU(0.2)))
    assert gain(nn.SELU()) == gain("selu")
    assert gain(nn.GELU("tanh")) == pytest.approx(gain("gelu"), abs=1e-3)


@pytest.mark.parametrize(
    ("fn", "told"),
    [
        (nn.GLU(), "GLU has no gain: it multiplies one half"),
        ("swiglu", "swiglu has no gain: it multiplies one half"),
        (nn.Softmax(0), "outputs depend on each other"),
        ("softmax", "softmax has no gain"),
        (nn.LayerNorm(8), "a normalisation sets the level itself"),
        (nn.Dropout(0.5), "what it drops is up to chance"),
        (lambda x: x.cumsum(0), "is not elementwise"),
        (lambda x: x * 0, "is zero wherever"),
        (torch.log, "not finite at -"),
        (nn.Conv1d(1, 1, 1), "cannot be applied to a vector"),
    ],
)
def test_what_has_no_gain_is_refused_with_a_reason(fn, told):
    with pytest.raises(UsageError, match=told):
        gain(fn)


def test_a_step_has_a_level_but_no_gradient():
    assert gain(torch.sign) == pytest.approx(1.0)
    with pytest.raises(UsageError, match="derivative of sign is zero"):
        gain(torch.sign, "backward")


def test_bad_arguments_are_told():
    with pytest.raises(UnknownNameError, match=r"no activation named 'tahn'. Did you mean 'tanh'"):
        gain("tahn")
    with pytest.raises(UsageError, match="direction must be 'forward' or 'backward', not 'up'"):
        gain("relu", "up")
    with pytest.raises(UsageError, match="std must be positive"):
        gain("relu", std=0.0)


# ---- where a deep stack settles


def test_relu_with_its_gain_keeps_any_level():
    stack = VarianceMap.of("relu", math.sqrt(2))
    assert math.isnan(stack.fixed_point)
    assert (stack.phase, stack.correlation_length) == ("critical", math.inf)
    assert VarianceMap.of("relu", 1.0).fixed_point == 0.0
    assert VarianceMap.of("relu", 1.5).fixed_point == math.inf


def test_tanh_with_unit_gain_decays_like_one_over_the_depth():
    """The folklore that it settles at 0.25 is wrong: 1/q grows by 2 a layer."""
    stack = VarianceMap.of("tanh", 1.0)
    assert stack.fixed_point == 0.0
    assert stack.phase == "critical"
    path = stack.trajectory(1.0, 400)
    assert 1 / path[400] - 1 / path[300] == pytest.approx(200, rel=0.05)


def test_a_tanh_stack_cannot_keep_both_levels():
    stack = VarianceMap.of("tanh", gain("tanh"))
    assert stack.fixed_point == pytest.approx(1.0)
    assert stack.stable
    assert stack.phase == "chaotic"
    assert stack.slope == pytest.approx((gain("tanh") / gain("tanh", "backward")) ** 2)


def test_the_fixed_point_of_gelu_is_unstable():
    stack = VarianceMap.of("gelu", gain("gelu"))
    assert stack.fixed_point == 1.0
    assert not stack.stable
    assert stack(0.9) < 0.9
    assert stack(1.1) > 1.1


def test_biases_make_an_ordered_stack_settle():
    stack = VarianceMap.of("tanh", 0.9, bias=0.3)
    assert stack.fixed_point == pytest.approx(stack(stack.fixed_point))
    assert stack.phase == "ordered"
    assert 0 < stack.correlation_length < 20
    assert stack(0.0) == pytest.approx(0.09)


def test_a_gain_is_copied_with_its_error():
    found = gain("gelu")
    for again in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):  # noqa: S301
        assert again == found
        assert again.error == found.error
