"""Directions: how long they are, what they span, and trajectories on a plane."""

import pytest
import torch
from torch import nn

from gainstage.errors import UsageError
from gainstage.landscape import (
    Trajectory,
    between,
    principal_directions,
    project,
    random_directions,
)


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def test_each_filter_is_as_long_as_the_models_and_biases_stay(model):
    one, other = random_directions(model)
    for direction in (one, other):
        for name, p in model.named_parameters():
            if p.dim() < 2:
                assert not direction[name].any()
            else:
                torch.testing.assert_close(
                    direction[name].flatten(1).norm(dim=1), p.flatten(1).norm(dim=1)
                )
    assert not torch.equal(one["3.weight"], other["3.weight"])


def test_layers_may_be_scaled_whole_or_not_at_all(model):
    (layer,) = random_directions(model, 1, normalize="layer")
    torch.testing.assert_close(layer["3.weight"].norm(), model[3].weight.norm())
    (free,) = random_directions(model, 1, normalize="none")
    assert free["3.bias"].any()
    with pytest.raises(UsageError, match="'filter', 'layer' or 'none', and not 'filters'"):
        random_directions(model, normalize="filters")


def test_a_seed_makes_them_again_and_the_global_generator_is_left_alone(model):
    before = torch.get_rng_state()
    one, other = random_directions(model, seed=3), random_directions(model, seed=3)
    assert all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_between_leads_from_one_checkpoint_to_the_other(model):
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    end = {name: tensor + 1 for name, tensor in start.items()}
    direction = between(start, end)
    assert "1.num_batches_tracked" not in direction
    torch.testing.assert_close(start["0.weight"] + direction["0.weight"], end["0.weight"])


def test_checkpoints_of_different_models_are_refused(model):
    other = nn.Linear(12, 2).state_dict()
    with pytest.raises(UsageError, match=r"different models: they disagree at 0.bias, 0.weight, 1"):
        between(model.state_dict(), other)


def test_principal_directions_find_the_plane_of_a_curve():
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(30, 2, generator=generator)).Q
    angles = torch.linspace(0, 3, 40)
    points = [{"w": basis @ torch.stack([2 * a.cos(), a.sin()])} for a in angles]
    directions, explained = principal_directions(points)
    assert explained.sum().item() == pytest.approx(1, abs=1e-5)
    assert explained[0] > explained[1]
    coordinates = project(points, points[-1], directions)
    again = torch.stack([d["w"] for d in directions], 1) @ coordinates.T + points[-1]["w"][:, None]
    torch.testing.assert_close(again, torch.stack([p["w"] for p in points], 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([{"w": torch.ones(3)}], "2 directions need 3 points of a trajectory; here are 1"),
        ([{"w": torch.ones(3)}] * 4, "does not vary in 2 directions"),
        ([{"w": t * torch.ones(3)} for t in range(5)], "does not vary in 2 directions"),
    ],
)
def test_trajectories_that_span_no_plane_are_refused(points, message):
    with pytest.raises(UsageError, match=message):
        principal_directions(points)


def test_projection_heeds_directions_that_are_not_orthogonal_or_move_other_weights():
    origin = {"a": torch.zeros(2), "b": torch.zeros(1)}
    directions = [{"a": torch.tensor([1.0, 1.0])}, {"b": torch.tensor([2.0])}]
    point = {"a": torch.tensor([3.0, 3.0]), "b": torch.tensor([1.0])}
    torch.testing.assert_close(project([point], origin, directions), torch.tensor([[3.0, 0.5]]))


def test_a_trajectory_follows_its_optimiser_until_it_is_closed():
    weight = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(weight.parameters(), lr=1.0)
    trajectory = Trajectory(weight, optimizer, every=2)
    start = weight.weight.item()
    for _ in range(5):
        weight.weight.grad = torch.ones(1, 1)
        optimizer.step()
    trajectory.close()
    trajectory.close()
    optimizer.step()
    assert [p["weight"].item() - start for p in trajectory.points] == pytest.approx([0, -2, -4])
