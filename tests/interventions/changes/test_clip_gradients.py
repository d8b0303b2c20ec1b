"""The intervention `clip-gradients`."""

import pytest
import torch

from .parts import change, linear, step


def test_gradients_are_clipped_to_a_norm():
    with change("clip-gradients", norm=1.0):
        layer = linear()
        assert step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), x=50.0) == pytest.approx(
            0.0, abs=1e-5
        )


@pytest.mark.parametrize("how", ["backward", "grad"])
def test_updates_by_hand_are_clipped_by_their_gradients(how):
    w = torch.tensor([0.0, 0.0], requires_grad=True)
    with change("clip-gradients", norm=1.0):
        loss = (w * torch.tensor([3.0, 4.0])).sum()
        if how == "grad":
            (grad,) = torch.autograd.grad(loss, [w])
        else:
            loss.backward()
            grad = w.grad
        assert grad.tolist() == pytest.approx([0.6, 0.8])
        (small,) = torch.autograd.grad((w * torch.tensor([0.3, 0.4])).sum(), [w])
        assert small.tolist() == pytest.approx([0.3, 0.4])
