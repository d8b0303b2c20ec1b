"""The intervention `guard-functions`."""

import math

import pytest
import torch

from .parts import change


def test_logarithms_and_roots_stay_finite_and_so_do_their_gradients():
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    with change("guard-functions", least=1e-4):
        values = (torch.log(x), x.log2(), torch.sqrt(x), x.rsqrt(), torch.log(input=x))
        assert all(torch.isfinite(value).all() for value in values[:4])
        (values[0] + values[2]).sum().backward()
        assert x.grad.tolist() == [0.0, pytest.approx(0.5)]
        assert torch.log(torch.tensor(4.0)) == math.log(4.0)
    assert torch.log(x)[0] == -math.inf


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x**0.5,
        lambda x: torch.pow(x, 0.25),
        lambda x: torch.acos(1 - x),
        lambda x: torch.asin(x - 1),
        lambda x: torch.atanh(1 - x),
        lambda x: torch.log1p(-1 - x),
        lambda x: x / x,
        lambda x: torch.div(1.0, x),
        lambda x: 1 / x,
        lambda x: x.reciprocal(),
    ],
)
def test_singular_points_are_kept_away_from(function):
    def gradient():
        x = torch.zeros(1, requires_grad=True)
        value = function(x)
        value.sum().backward()
        return value, x.grad

    with change("guard-functions", least=1e-4):
        assert all(torch.isfinite(one).all() for one in gradient())
    assert not all(torch.isfinite(one).all() for one in gradient())


def test_what_is_far_from_singular_is_left_as_it_is():
    x = torch.tensor([0.3, 0.7])
    wanted = (x**0.5, x**2, x / x, 1 / -x, torch.acos(x), torch.log1p(x), 2.0**x)
    with change("guard-functions"):
        got = (x**0.5, x**2, x / x, 1 / -x, torch.acos(x), torch.log1p(x), 2.0**x)
    assert all(torch.allclose(a, b) for a, b in zip(got, wanted, strict=True))
