"""The intervention `hold-learning-rate`."""

import pytest
import torch

from .parts import change, linear, step


def _course(factors):
    """How far each step went, with a rate of these factors in turn."""
    layer = linear(0.0)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factors[step])
    at, went, seen = 0.0, [], []
    for _ in factors[:-1]:
        optimizer.zero_grad()
        now = step(layer, optimizer)
        went.append(round(at - now, 6))
        seen.append(optimizer.param_groups[0]["lr"])
        at = now
        schedule.step()
    return went, seen


def test_a_rate_rises_and_does_not_fall():
    factors = [0.1, 0.5, 1.0, 0.5, 0.1, 0.0, 0.0]
    with change("hold-learning-rate"):
        went, seen = _course(factors)
    assert went == [0.1, 0.5, 1.0, 1.0, 1.0, 1.0]
    assert seen == pytest.approx(factors[:-1])
    assert _course(factors)[0] == factors[:-1]


def test_each_group_has_a_rate_of_its_own():
    one, other = linear(0.0), linear(0.0)
    groups = [{"params": one.parameters(), "lr": 1.0}, {"params": other.parameters(), "lr": 0.1}]
    optimizer = torch.optim.SGD(groups)
    with change("hold-learning-rate"):
        for _ in range(2):
            optimizer.zero_grad()
            x = torch.ones(1, 1)
            (one(x) + other(x)).sum().backward()
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] *= 0.0
    assert one.weight.item() == pytest.approx(-2.0)
    assert other.weight.item() == pytest.approx(-0.2)


def test_a_step_that_raises_leaves_the_rates_as_they_were():
    layer = linear()
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    with change("hold-learning-rate"):
        step(layer, optimizer)
        optimizer.param_groups[0]["lr"] = 0.25
        with pytest.raises(ZeroDivisionError):
            optimizer.step(lambda: 1 / 0)
        optimizer.step()
        assert optimizer.param_groups[0]["lr"] == 0.25
