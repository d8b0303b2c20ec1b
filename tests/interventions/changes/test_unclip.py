"""The intervention `unclip`."""

import torch

from .parts import change, linear


def test_clipping_is_undone_but_still_tells_the_norm():
    layer = linear()
    with change("unclip"):
        layer.weight.grad = torch.full((1, 1), 8.0)
        assert torch.nn.utils.clip_grad_norm_(layer.parameters(), 0.1).item() == 8.0
        torch.nn.utils.clip_grad_value_(layer.parameters(), 0.1)
    assert layer.weight.grad.item() == 8.0
