"""Surfaces: the contract of every member, published values, gradients, and what is refused."""

import math

import pytest
import torch

from gainstage.errors import UnknownNameError, UsageError
from gainstage.landscape import SURFACES, Surface

VALUES = {
    "beale": ((1.0, 1.0), 14.203125),
    "himmelblau": ((0.0, 0.0), 170.0),
    "ill-conditioned-quadratic": ((2.0, 1.0), 52.0),
    "pathological-curvature": ((0.0, 0.0), 0.5),
    "rastrigin": ((1.0, 1.0), 2.0),
    "rosenbrock": ((-1.2, 1.0), 24.2),
    "saddle": ((1.0, 0.0), 1.0),
    "steep-optima": ((1.0, -0.5), -1 / (2 * math.pi * 0.04)),
    "styblinski-tang": ((0.0, 0.0), 0.0),
}


@pytest.mark.parametrize("name", list(SURFACES))
def test_a_surface_has_the_value_that_is_published(name):
    point, value = VALUES[name]
    assert SURFACES[name](torch.tensor(point, dtype=torch.float64)).item() == pytest.approx(
        value, rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("name", list(SURFACES))
def test_its_optima_are_flat_and_nothing_in_its_domain_lies_lower(name):
    surface = SURFACES[name]
    optima = torch.tensor(surface.optima, dtype=torch.float64)
    assert surface.gradient(optima).abs().max() < 1e-4
    least = surface(optima)
    assert (least - least.min()).abs().max() < 1e-6
    assert surface.map(301)[2].min() >= least.min() - 1e-4


@pytest.mark.parametrize("name", list(SURFACES))
def test_a_map_is_the_function_at_every_point_as_pictures_have_it(name):
    surface = SURFACES[name]
    x, y, values = surface.map(7)
    assert values.shape == (7, 7)
    (low, _), (_, high) = surface.domain
    assert (x[0], y[-1]) == (low, high)
    torch.testing.assert_close(values[6, 2], surface(torch.stack([x[2], y[6]])))


@pytest.mark.parametrize("name", list(SURFACES))
def test_gradients_of_many_points_are_the_differences_of_values(name):
    surface = SURFACES[name]
    generator = torch.Generator().manual_seed(0)
    low, high = torch.tensor(surface.domain, dtype=torch.float64).T
    points = low + (high - low) * torch.rand(3, 5, 2, generator=generator, dtype=torch.float64)
    gradients, h = surface.gradient(points), 1e-6
    for axis in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[axis] = h
        slope = (surface(points + step) - surface(points - step)) / (2 * h)
        torch.testing.assert_close(gradients[..., axis], slope, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", list(SURFACES))
def test_it_says_where_it_comes_from(name):
    surface = SURFACES[name]
    assert len(surface.source) > 20
    assert surface.function.__doc__.endswith(".")


def test_a_surface_without_a_gradient_is_named():
    steps = Surface("steps", lambda x, _: torch.floor(x).detach(), ((0, 1), (0, 1)), (), "nobody")
    with pytest.raises(UsageError, match=r"^The surface 'steps' has no gradient: its function"):
        steps.gradient(torch.zeros(2))


def test_an_unknown_surface_is_answered_with_what_was_meant():
    with pytest.raises(UnknownNameError, match=r"named 'rosenbrok'. Did you mean 'rosenbrock'"):
        SURFACES["rosenbrok"]
