"""The intervention `calibrate`."""

import pytest
import torch
from torch import nn

from .parts import change


def rms(x):
    return x.detach().double().square().mean().sqrt().item()


def loud(*shape):
    return (torch.randn(*shape) * 9).requires_grad_()


@pytest.mark.parametrize("flipped", [False, True])
def test_each_stage_begins_at_an_rms_of_one_and_the_first_backward_ends_it(flipped):
    torch.manual_seed(0)
    first, second = loud(8, 30), loud(5, 30) if flipped else loud(30, 5)
    x, direction = torch.randn(50, 8), first.detach().clone()

    def stages():
        hidden = torch.tanh(x @ first)
        return x @ first, hidden @ (second.T if flipped else second)

    with change("calibrate"):
        for out in stages():
            assert rms(out) == pytest.approx(1.0, rel=1e-4)
        stages()[1].sum().backward()
        assert torch.nn.functional.cosine_similarity(
            first.flatten(), direction.flatten(), dim=0
        ).item() == pytest.approx(1.0, abs=1e-5)
        first.data.mul_(3.0)
        assert rms(stages()[0]) == pytest.approx(3.0, rel=1e-4)


def test_layers_of_two_models_are_scaled_and_what_an_optimiser_does_not_own_is_not():
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 6)) for _ in range(2)]
    point = torch.full((6, 3), 5.0, requires_grad=True)
    x = torch.randn(40, 6) * 100
    with change("calibrate"):
        optimizer = torch.optim.SGD([p for m in models for p in m.parameters()], lr=0.1)
        for model in models:
            out = model(x)
            assert rms(model[0](x)) == pytest.approx(1.0, rel=1e-3)
            assert rms(out) == pytest.approx(1.0, rel=1e-3)
        out = out @ point
        out.sum().backward()
    assert torch.equal(point, torch.full((6, 3), 5.0))
    assert not any(point is p for p in optimizer.param_groups[0]["params"])
    assert models[0][0].weight.grad is None
    assert models[1][0].weight.grad is not None


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (nn.Linear(3, 3), torch.ones(2, 3)),
        (nn.LSTM(3, 5, num_layers=2, dropout=0.5), torch.ones(4, 2, 3)),
        (nn.GRUCell(3, 5), torch.ones(2, 3)),
        (nn.Conv2d(2, 3, 3), torch.ones(2, 2, 5, 5)),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5), torch.randn(4, 2, 8)),
    ],
)
def test_what_is_measured_to_scale_weights_leaves_random_numbers_alone(model, x):
    def after():
        torch.manual_seed(5)
        out = model(x)
        (out[0] if isinstance(out, tuple) else out).sum().backward()
        return torch.get_rng_state()

    wanted = after()
    before = [p.detach().clone() for p in model.parameters()]
    with change("calibrate"):
        assert torch.equal(after(), wanted)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert any(moved)
    assert all(p.isfinite().all() for p in model.parameters())
