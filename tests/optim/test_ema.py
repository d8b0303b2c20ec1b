"""Momentum as an average, beside what it is and what it is not."""

import pytest
import torch

from gainstage.optim import EMA

from .grid import grid, same_path


@pytest.mark.parametrize(
    "options", grid(weight_decay=[0.0, 0.1], maximize=[False, True], foreach=[True, False])
)
def test_it_is_torchs_sgd_with_a_smaller_rate(options):
    same_path(
        lambda p: EMA(p, lr=0.01, beta=0.9, **options),
        lambda p: torch.optim.SGD(p, lr=0.01 * (1 - 0.9), momentum=0.9, **options),
    )


def test_it_is_not_sgd_with_dampening():
    with pytest.raises(AssertionError, match="not close"):
        same_path(
            lambda p: EMA(p, lr=0.1, beta=0.9),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.9),
        )


def test_with_its_bias_corrected_a_constant_gradient_is_followed_in_full():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = EMA([weight], lr=1.0, beta=0.9, bias_correction=True)
    for step in range(1, 5):
        weight.grad = torch.ones(1)
        optimizer.step()
        assert weight.item() == pytest.approx(-step, rel=1e-6)
