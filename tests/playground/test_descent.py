"""Ways down a surface: those of the library, whatever is chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import gainstage as gs
from gainstage.errors import UnknownNameError, UsageError
from gainstage.playground.descent import (
    LINES,
    OPTIMIZERS,
    arguments,
    descend,
    knee_of,
    surface_of,
    survey,
)
from gainstage.questions import Descent, Settings, Terrain

SURFACES = [*gs.landscape.SURFACES, *LINES]


def way(surface="saddle", optimizer="SGD", start=(1.0, 0.1), steps=50, knee=1.0, **settings):
    return descend(Descent(surface, optimizer, start, Settings(**settings), steps, knee))


def test_every_optimiser_of_the_library_is_offered():
    assert set(OPTIMIZERS) == {"SGD", "EMA", "RMSprop", "Adam", "AdamW"}
    assert list(arguments("SGD")) == ["lr", "momentum", "dampening", "nesterov", "weight_decay"]
    assert arguments("Adam")["betas"] == (0.9, 0.999)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("lr", [1e-3, 10.0])
def test_every_pair_answers_finite_or_diverged(surface, optimizer, lr):
    start = survey(Terrain(surface)).start
    found = way(surface, optimizer, start, 40, lr=lr)
    assert len(found.x) == len(found.y) == len(found.values) == 40
    known = [None not in point for point in zip(found.x, found.y, found.values, strict=True)]
    if found.diverged:
        assert known == [i < found.lost for i in range(40)]
    else:
        assert all(known)
        assert found.lost is None


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("SGD", {"lr": 0.005, "momentum": 0.9, "nesterov": True}),
        ("SGD", {"lr": 0.005, "momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1}),
        ("EMA", {"lr": 0.01, "beta": 0.8, "bias_correction": True}),
        ("RMSprop", {"lr": 0.02, "alpha": 0.9, "centered": True, "momentum": 0.2}),
        ("Adam", {"lr": 0.2, "betas": (0.5, 0.9), "eps": 1e-3, "amsgrad": True}),
        ("AdamW", {"lr": 0.2, "weight_decay": 0.5}),
    ],
)
def test_the_values_are_those_of_a_race(optimizer, settings):
    found = way("himmelblau", optimizer, (-3.5, 3.5), 60, **settings)
    make = getattr(gs.optim, optimizer)
    race = gs.landscape.race("himmelblau", {"one": lambda p: make(p, **settings)}, (-3.5, 3.5), 60)
    told = np.array([found.x, found.y], dtype=np.float32).T
    assert np.array_equal(told, race.trajectories[0, 0].numpy())  # to the last bit
    assert np.array_equal(np.float32(found.values), race.values[0, 0].numpy())
    assert found.flips == tuple(race.sign_flips()[0, 0].tolist())


def test_the_code_that_is_shown_computes_the_same():
    for surface in ("rosenbrock", "line-fit-mse", "line-fit-huber"):
        found = way(surface, "Adam", (-1.5, 2.0), 30, knee=0.4, lr=0.1, betas=(0.8, 0.99))
        again = eval(found.code, {"gs": gs})  # noqa: S307 - our own
        assert np.array_equal(np.float32(found.values), again.values[0, 0].numpy())


def test_what_became_of_it_is_told():
    lost = way("rosenbrock", start=(-1.4, 2.4), lr=1.0)
    assert lost.diverged
    assert 0 < lost.lost < 20
    assert lost.outside <= lost.lost
    arrived = way("saddle", lr=0.1)
    assert (arrived.diverged, arrived.lost, arrived.outside) == (False, None, None)
    assert 0 < arrived.arrived < 50
    underway = way("saddle", lr=1e-3)
    assert (underway.arrived, underway.resting) == (None, False)
    elsewhere = way("rastrigin", start=(3.1, 0.0), lr=1e-3, steps=100)
    assert (elsewhere.arrived, elsewhere.resting) == (None, True)  # in a hollow of its own
    outside = way("steep-optima", "SGD", (-1.0, 0.3), lr=10.0)
    assert not outside.diverged
    assert outside.outside > 0


@pytest.mark.parametrize("surface", SURFACES)
def test_a_map_is_that_of_the_surface(surface):
    found = survey(Terrain(surface, 0.5))
    x, y, values = surface_of(surface, 0.5).map(len(found.x))
    np.testing.assert_allclose(found.x, x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.y, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.values, values, rtol=1e-4)
    assert list(found.heights) == sorted(found.heights)
    ends = [np.min(found.values), np.max(found.values)]
    assert [found.heights[0], found.heights[-1]] == pytest.approx(ends, rel=1e-4)
    for place, points in zip(found.start, (found.x, found.y), strict=True):
        assert points[0] < place < points[-1]
    assert all(math.isfinite(c) for point in found.optima for c in point)
    assert found.about.endswith(".")


@pytest.mark.parametrize("surface", SURFACES)
def test_one_begins_with_a_rate_that_descends(surface):
    found = survey(Terrain(surface))
    for optimizer, rate in (("SGD", found.rates[0]), ("Adam", found.rates[1])):
        made = way(surface, optimizer, found.start, 100, lr=rate)
        assert not made.diverged
        assert made.values[-1] <= made.values[0]


def test_the_knee_is_called_as_torch_does():
    assert knee_of("line-fit-huber") == "delta"
    assert knee_of("line-fit-smooth-l1") == "beta"
    assert knee_of("line-fit-mse") == knee_of("saddle") == ""
    at = torch.tensor([-3.0, 6.0])
    assert surface_of("line-fit-huber", 0.1)(at) < surface_of("line-fit-huber", 2.0)(at)


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"surface": "sadle"}, UnknownNameError, "no surface named 'sadle'. Did you mean 'saddle'"),
        ({"optimizer": "Lion"}, UnknownNameError, "no optimiser named 'Lion'. There are: Adam, "),
        ({"alpha": 0.9}, UsageError, "SGD has no argument 'alpha'; it has: lr, momentum"),
        ({"nesterov": True}, UsageError, "Nesterov's momentum needs a momentum"),
    ],
)
def test_what_does_not_fit_is_told(changes, error, told):
    with pytest.raises(error, match=told):
        way(**changes)
