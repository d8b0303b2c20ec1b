"""RMSprop beside torch's."""

import pytest
import torch

from gainstage.optim import RMSprop

from .grid import grid, same_path


@pytest.mark.parametrize(
    "options",
    grid(
        weight_decay=[0.0, 0.1],
        momentum=[0.0, 0.9],
        centered=[False, True],
        maximize=[False, True],
        foreach=[True, False],
    ),
    ids=str,
)
def test_it_steps_as_torch_does(options):
    same_path(
        lambda p: RMSprop(p, lr=0.001, **options),
        lambda p: torch.optim.RMSprop(p, lr=0.001, **options),
    )
