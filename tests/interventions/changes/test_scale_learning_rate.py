"""The intervention `scale-learning-rate`."""

import pytest
import torch

from .parts import change, linear, step


def test_the_rate_is_scaled_as_long_as_a_step_runs():
    with change("scale-learning-rate", factor=0.1):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        assert step(layer, optimizer) == pytest.approx(0.9)
        assert optimizer.param_groups[0]["lr"] == 1.0


def test_a_scheduler_keeps_its_course_under_a_scaled_rate():
    with change("scale-learning-rate", factor=0.1):
        layer = linear(0.0)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        step(layer, optimizer)
        scheduler.step()
        optimizer.zero_grad()
        assert step(layer, optimizer) == pytest.approx(-0.15)
    assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("how", ["backward", "grad"])
def test_updates_by_hand_are_scaled_by_their_gradients(how):
    w = torch.ones(1, requires_grad=True)
    with change("scale-learning-rate", factor=0.1):
        loss = (3 * w).sum()
        grad = torch.autograd.grad(loss, w)[0] if how == "grad" else loss.backward() or w.grad
    assert grad.item() == pytest.approx(0.3)


def test_a_gradient_that_is_differentiated_again_is_left_alone():
    w = torch.full((1,), 2.0, requires_grad=True)
    with change("scale-learning-rate", factor=0.1):
        (grad,) = torch.autograd.grad((w**2).sum(), w, create_graph=True)
    assert grad.item() == 4.0
