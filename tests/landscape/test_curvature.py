"""Curvature against Hessians that are known, and what is said without curvlinops."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gainstage.errors import MissingExtraError, UsageError
from gainstage.landscape import Trajectory, curvature, sharpness

# curvlinops and what it imports use parts of torch that torch wants to be rid of
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def quadratic():
    """A linear fit: the Hessian of its mean squared error is 2 X'X / n, wherever one is."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 4, generator=generator) * torch.tensor([3.0, 2.0, 1.0, 0.5])
    y = torch.randn(20, 1, generator=generator)
    return nn.Linear(4, 1, bias=False), (x, y), 2 * x.T @ x / 20


def test_eigenvalues_and_directions_are_the_hessians(quadratic):
    pytest.importorskip("curvlinops")
    model, batch, hessian = quadratic
    found = curvature(model, batch, F.mse_loss)
    expected = torch.linalg.eigvalsh(hessian).flip(0)[:2]
    torch.testing.assert_close(found.eigenvalues, expected, rtol=1e-4, atol=1e-4)
    for value, direction in zip(found.eigenvalues, found.directions, strict=True):
        vector = direction["weight"].flatten()
        torch.testing.assert_close(hessian @ vector, value * vector, rtol=1e-3, atol=1e-3)
    assert found.trace is None


def test_the_curvature_of_wide_weights_is_wide(quadratic):
    pytest.importorskip("curvlinops")
    model, (x, y), hessian = quadratic
    found = curvature(model.double(), (x.double(), y.double()), F.mse_loss)
    assert found.eigenvalues.dtype == found.directions[0]["weight"].dtype == torch.float64
    expected = torch.linalg.eigvalsh(hessian.double()).flip(0)[:2]
    torch.testing.assert_close(found.eigenvalues, expected, rtol=1e-6, atol=1e-6)


def test_what_has_no_answer_is_told(quadratic):
    pytest.importorskip("curvlinops")
    model, batch, _ = quadratic
    with pytest.raises(UsageError, match="fewer eigenvalues than there are weights, 4: 4"):
        curvature(model, batch, F.mse_loss, count=4)
    with pytest.raises(UsageError, match="point is of another model: it has 'w'"):
        sharpness(model, batch, F.mse_loss, [{"w": torch.ones(1, 4)}])


def test_the_trace_is_estimated_without_touching_the_global_generator():
    pytest.importorskip("curvlinops")
    x = torch.randn(200, 60, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(60, 1)
    before = torch.get_rng_state()
    found = curvature(model, (x, torch.zeros(200, 1)), F.mse_loss, probes=50)
    # of the weights, and 2 for the bias
    expected = 2 * x.square().sum().item() / 200 + 2
    assert found.trace == pytest.approx(expected, rel=0.1)
    assert torch.equal(torch.get_rng_state(), before)


def test_descent_leaves_the_optimum_where_rate_times_sharpness_is_above_two(quadratic):
    pytest.importorskip("curvlinops")
    model, batch, hessian = quadratic
    top = torch.linalg.eigvalsh(hessian)[-1].item()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.1 / top)
    trajectory = Trajectory(model, optimizer)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] > losses[5]
    found = sharpness(model, batch, F.mse_loss, trajectory.points[:2])
    torch.testing.assert_close(found, torch.tensor([top, top]), rtol=1e-4, atol=1e-4)
    assert model.weight.requires_grad


def test_without_curvlinops_the_extra_is_named(quadratic, monkeypatch):
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    model, batch, _ = quadratic
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[curvature\]'"):
        curvature(model, batch, F.mse_loss)
