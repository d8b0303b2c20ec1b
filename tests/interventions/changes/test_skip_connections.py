"""The intervention `skip-connections`."""

import pytest
import torch
from torch import nn

from .parts import change, linear


class Block(nn.Module):
    def __init__(self, outputs=1):
        super().__init__()
        self.linear = linear(2.0, 1, outputs)

    def forward(self, x):
        return self.linear(x)


@pytest.mark.parametrize(
    ("model", "result"),
    [
        (nn.Sequential(*[Block() for _ in range(4)]), 3.0**4),
        (nn.Sequential(*[Block() for _ in range(4)], Block(2)), 2 * 3.0**4),  # of another shape
        (nn.Sequential(*[Block() for _ in range(3)]), 2.0**3),  # not deep
        (nn.Sequential(*[linear(2.0) for _ in range(5)]), 2.0**5),  # no blocks
    ],
)
def test_blocks_of_a_deep_network_are_passed_by(model, result):
    with change("skip-connections"):
        assert model(torch.ones(1, 1))[0, 0].item() == result
        assert model(torch.ones(1, 1))[0, 0].item() == result
    assert not any(module._forward_hooks for module in model.modules())
