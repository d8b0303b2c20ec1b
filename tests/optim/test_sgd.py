"""Gradient descent beside torch's."""

import pytest
import torch

from gainstage.optim import SGD

from .grid import grid, same_path

OPTIONS = [
    options
    for options in grid(
        momentum=[0.0, 0.9],
        dampening=[0.0, 0.5],
        nesterov=[False, True],
        weight_decay=[0.0, 0.1],
        maximize=[False, True],
        foreach=[True, False],
    )
    if not options["nesterov"] or (options["momentum"] and not options["dampening"])
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_steps_as_torch_does(options):
    same_path(
        lambda p: SGD(p, lr=0.01, **options), lambda p: torch.optim.SGD(p, lr=0.01, **options)
    )
