"""Adam and AdamW beside torch's."""

import pytest
import torch

from gainstage.optim import Adam, AdamW

from .grid import grid, same_path

SHARED = {
    "weight_decay": [0.0, 0.1],
    "amsgrad": [False, True],
    "maximize": [False, True],
    "foreach": [True, False],
}


@pytest.mark.parametrize("options", grid(decoupled_weight_decay=[False, True], **SHARED), ids=str)
def test_it_steps_as_torch_does(options):
    same_path(
        lambda p: Adam(p, lr=0.01, **options), lambda p: torch.optim.Adam(p, lr=0.01, **options)
    )


@pytest.mark.parametrize("options", grid(betas=[(0.9, 0.999), (0.5, 0.9)], **SHARED), ids=str)
def test_adamw_steps_as_torch_does(options):
    same_path(
        lambda p: AdamW(p, lr=0.01, **options), lambda p: torch.optim.AdamW(p, lr=0.01, **options)
    )


def test_without_its_correction_the_first_step_is_too_long():
    """By (1 - beta1) / sqrt(1 - beta2), whatever the gradient."""
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = Adam([weight], lr=1.0, bias_correction=False)
    weight.grad = torch.tensor([5.0, -0.01])
    optimizer.step()
    assert weight.tolist() == pytest.approx([-0.1 / 0.001**0.5, 0.1 / 0.001**0.5], rel=1e-4)
