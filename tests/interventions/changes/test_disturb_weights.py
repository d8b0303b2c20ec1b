"""The intervention `disturb-weights`."""

import pytest
import torch

from .parts import change, linear


@pytest.mark.parametrize("bare", [True, False])
def test_weights_are_disturbed_once_by_a_share_of_their_size(bare):
    torch.manual_seed(0)
    w = torch.full((50, 40), 3.0, requires_grad=True)
    layer = linear(3.0, 40, 50)
    tensor = w if bare else layer.weight
    state = torch.get_rng_state()
    with change("disturb-weights", share=0.1):
        x = torch.ones(1, 40)
        (x @ w.T if bare else layer(x)).sum().backward()
        assert tensor.grad.abs().max() == 0  # of the weights as they were
        noise = (tensor - 3.0) / 0.3
        assert noise.mean().item() == pytest.approx(0.0, abs=0.1)
        assert noise.std().item() == pytest.approx(1.0, abs=0.1)
        kept = tensor.detach().clone()
        (x @ w.T if bare else layer(x)).sum().backward()
        assert torch.equal(tensor, kept)
        assert tensor.grad.abs().max() > 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["reinitialise", "disturb-weights"])
def test_points_at_which_a_gradient_is_asked_for_are_no_weights(name):
    points = torch.linspace(0, 6, 7)[:, None].requires_grad_()
    weight = torch.ones(1, 1, requires_grad=True)
    with change(name):
        optimizer = torch.optim.SGD([weight], lr=0.1)
        (points @ weight).sum().backward()
    assert torch.equal(points.detach(), torch.linspace(0, 6, 7)[:, None])
    assert weight.item() != 1.0
    assert optimizer.param_groups[0]["params"] == [weight]
