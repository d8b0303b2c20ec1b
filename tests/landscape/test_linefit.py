"""The loss of a line: torch's own, the best line, and the published losses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gainstage.errors import UnknownNameError
from gainstage.landscape import line_fit
from gainstage.landscape.linefit import KNEES, LOSSES, noisy_parabola

MODULES = {
    "mse": nn.MSELoss(),
    "l1": nn.L1Loss(),
    "huber": nn.HuberLoss(delta=0.5),
    "smooth_l1": nn.SmoothL1Loss(beta=0.5),
}
PUBLISHED = (53.078270, 34.729504, 22.891207)
"""Of experiment 8: MSE before the first steps of SGD at a rate of 0.1 from weight 6, bias -3."""


@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_the_loss_of_a_neuron(loss):
    x, y = noisy_parabola()
    neuron = nn.Linear(1, 1)
    for bias, weight in ((-3.0, 6.0), (0.5, -2.0)):
        with torch.no_grad():
            neuron.weight.fill_(weight)
            neuron.bias.fill_(bias)
            expected = MODULES[loss](neuron(x), y)
        found = line_fit(loss, 0.5)(torch.tensor([bias, weight]))
        torch.testing.assert_close(found, expected)


def test_its_descent_is_that_of_experiment_8():
    from gainstage import optim
    from gainstage.landscape import race

    result = race(line_fit(), {"SGD": lambda p: optim.SGD(p, lr=0.1)}, (-3.0, 6.0), 3)
    assert result.values[0, 0].tolist() == pytest.approx(PUBLISHED, rel=1e-6)


@pytest.mark.parametrize("knee", [0.01, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_line_is_better_than_the_best(loss, knee):
    surface = line_fit(loss, knee)
    best = torch.tensor(surface.optima, dtype=torch.float64)
    least = surface(best)
    for reach in (1e-4, 1e-2, 1.0):
        generator = torch.Generator().manual_seed(0)
        near = best + reach * torch.randn(500, 2, generator=generator, dtype=torch.float64)
        assert (surface(near) >= least - 1e-9).all()
    assert surface.map(101)[2].min() >= least - 1e-4


def test_a_knee_is_for_the_losses_that_have_one():
    at = torch.tensor([-3.0, 6.0])
    for loss in LOSSES:
        changed = not torch.equal(line_fit(loss, 0.1)(at), line_fit(loss, 3.0)(at))
        assert changed == (loss in KNEES)
    assert line_fit("huber", 0.25).name == "line fit, huber, delta 0.25"


def test_an_unknown_loss_is_answered_with_what_there_is():
    with pytest.raises(UnknownNameError, match=r"no line fit by the loss 'l2'. There are: mse, l1"):
        line_fit("l2")
