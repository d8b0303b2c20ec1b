"""Races: published ends, many starts, any optimiser, what is measured, what diverges."""

from dataclasses import replace

import pytest
import torch

from gainstage import landscape, optim
from gainstage.errors import UnknownNameError, UsageError
from gainstage.landscape import Surface, race

BOWL = Surface("bowl", lambda x, y: x**2 + y**2, ((-2, 2), (-2, 2)), ((0.0, 0.0),), "Euclid")


def sgd(lr, **options):
    return lambda p: torch.optim.SGD(p, lr=lr, **options)


def test_points_are_recorded_before_their_update():
    result = race(BOWL, {"SGD": sgd(0.25)}, (2.0, -1.0), steps=3)
    expected = torch.tensor([[2.0, -1.0], [1.0, -0.5], [0.5, -0.25]])
    torch.testing.assert_close(result.trajectories, expected[None, None])
    torch.testing.assert_close(result.values[0, 0], torch.tensor([5.0, 1.25, 0.3125]))


def test_on_pathological_curvature_gradient_descent_bounces_and_the_others_arrive():
    optimizers = {
        "SGD": lambda p: optim.SGD(p, lr=10),
        "EMA": lambda p: optim.EMA(p, lr=10, beta=0.9),
        "Adam": lambda p: optim.Adam(p, lr=1),
    }
    result = race("pathological-curvature", optimizers, (5.0, 5.0), 100)
    sgd_path = result.trajectories[0, 0]
    assert sgd_path[-1, 1].item() == pytest.approx(-6.7228, abs=1e-3)
    assert (sgd_path[1:, 0] * sgd_path[:-1, 0] < 0).sum() >= 5
    assert result.values[0, 0, -1] > 1
    assert result.values[1:, 0, -1].max() < 0.01
    assert result.steps_to_optimum().flatten().tolist()[0] == -1
    assert (result.steps_to_optimum().flatten()[1:] > 0).all()


def test_among_steep_optima_only_adam_stays_in_one():
    optimizers = {
        "SGD": lambda p: optim.SGD(p, lr=0.5),
        "EMA": lambda p: optim.EMA(p, lr=1, beta=0.9),
        "Adam": lambda p: optim.Adam(p, lr=0.2),
    }
    result = race("steep-optima", optimizers, (0.0, 0.0), 100)
    ends = result.trajectories[:, 0, -1]
    assert result.values[0, 0, -1].abs() < 1e-3  # on the plain
    assert ends[1].norm() > 5
    torch.testing.assert_close(ends[2], torch.tensor([-0.5, -0.8]), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    "make",
    [
        sgd(0.1, momentum=0.9),
        lambda p: torch.optim.Adam(p, lr=0.1),
        lambda p: torch.optim.NAdam(p, lr=0.1),
        torch.optim.Rprop,
        lambda p: torch.optim.LBFGS(p, lr=0.5, max_iter=2),
        lambda p: optim.RMSprop(p, lr=0.1),
    ],
)
def test_many_starts_at_once_are_as_many_races_of_one(make):
    starts = torch.tensor([[1.0, 1.0], [-1.5, 0.5], [0.2, -1.0]])
    together = race("rosenbrock", {"it": make}, starts, 10)
    assert together.trajectories.shape == (1, 3, 10, 2)
    for index, start in enumerate(starts):
        alone = race("rosenbrock", {"it": make}, start, 10)
        torch.testing.assert_close(together.trajectories[:, index], alone.trajectories[:, 0])


def test_a_strangers_optimiser_needs_only_a_step():
    class Stranger:
        def __init__(self, parameters):
            self.parameters = parameters

        def step(self):
            for parameter in self.parameters:
                parameter.data -= 0.5 * parameter.grad

    result = race(BOWL, {"mine": Stranger}, (1.0, 1.0), 2)
    assert result.trajectories[0, 0, 1].tolist() == [0, 0]


def test_what_diverges_ends_in_nan_and_stops_nobody():
    starts = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    result = race(BOWL, {"wild": sgd(1e15), "calm": sgd(0.1)}, starts, 30)
    assert result.diverged.tolist() == [[False, True], [False, False]]
    assert result.trajectories[0, 1, -1].isnan().all()
    assert result.trajectories[0, 1, 1].isfinite().all()
    assert result.steps_to_optimum().tolist()[0] == [0, -1]
    assert result.steps_to_optimum()[1, 1] > 0


def test_oscillation_and_overshoot_are_measured():
    result = race(BOWL, {"over": sgd(0.75), "calm": sgd(0.25)}, (1.0, 0.0), 10)
    assert result.sign_flips()[:, 0].tolist() == [[8, 0], [0, 0]]
    assert result.overshoot()[:, 0].tolist() == pytest.approx([0.5, 0.0])


def test_a_neighbourhood_is_reached_where_it_is_not_left_again():
    circling = Surface("flat", lambda x, y: 0 * x * y, ((-1, 1), (-1, 1)), ((0.0, 0.0),), "nobody")
    result = race(circling, {"SGD": sgd(1.0)}, [[0.5, 0.0], [0.0, 0.01]], 3)
    assert result.steps_to_optimum(0.1).tolist() == [[-1, 0]]
    assert result.steps_to_optimum(0.6).tolist() == [[0, 0]]
    passing = torch.tensor([[0.5, 0.0], [0.05, 0.0], [0.5, 0.0], [0.05, 0.0], [0.0, 0.0]])
    passed = replace(result, trajectories=passing[None, None])
    assert passed.steps_to_optimum(0.1).tolist() == [[3]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("beal", {"a": sgd(1.0)}, (0, 0)), UnknownNameError, "Did you mean 'beale'"),
        (("beale", {"a": sgd(1.0)}, (0, 0, 0)), UsageError, r"\[starts, 2\]; this one is \[1, 3\]"),
        (("beale", {}, (0, 0)), UsageError, "needs a step and an optimiser; here are 100 and 0"),
        (("beale", {"a": sgd(1.0)}, (0, 0), 0), UsageError, "here are 0 and 1"),
    ],
)
def test_races_that_cannot_be_run_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        race(*arguments)


def test_a_race_needs_a_gradient():
    steps = Surface("steps", lambda x, _: torch.round(x).detach(), ((0, 1), (0, 1)), (), "nobody")
    with pytest.raises(UsageError, match="'steps' has no gradient"):
        race(steps, {"SGD": sgd(1.0)}, (0.0, 0.0))


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    race("beale", {"SGD": sgd(0.01)}, (1.0, 1.0), 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert landscape.race is race


def test_a_race_tells_what_became_of_each():
    told = repr(race("beale", {"calm": sgd(1e-3), "wild": sgd(1e3)}, (1.0, 1.0), 20))
    first, calm, wild = told.splitlines()
    assert first == "<Race on 'beale': 1 start, 20 steps>"
    assert calm.startswith("  calm: ends at ")
    assert wild.endswith(", 1 left the finite numbers")
