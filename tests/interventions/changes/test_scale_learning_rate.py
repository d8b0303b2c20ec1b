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


@pytest.mark.parametrize("has_aux", [False, True])
def test_gradients_by_torch_func_are_scaled_and_the_loss_is_not(has_aux):
    def loss(w, x):
        value = (w["a"] * x).sum()
        return (value, x) if has_aux else value

    w, x = {"a": torch.ones(2)}, torch.tensor([3.0, 4.0])
    with change("scale-learning-rate", factor=0.1):
        grads, answer = torch.func.grad_and_value(loss, has_aux=has_aux)(w, x)
        each = torch.func.vmap(torch.func.grad(lambda v: (3 * v).sum()))(torch.ones(2, 1))
    torch.testing.assert_close(grads, {"a": 0.1 * x})
    assert (answer[0] if has_aux else answer) == 7.0
    assert each.tolist() == [[3.0], [3.0]]


def test_a_gradient_that_is_differentiated_again_is_left_alone():
    w = torch.full((1,), 2.0, requires_grad=True)
    with change("scale-learning-rate", factor=0.1):
        (grad,) = torch.autograd.grad((w**2).sum(), w, create_graph=True)
    assert grad.item() == 4.0
