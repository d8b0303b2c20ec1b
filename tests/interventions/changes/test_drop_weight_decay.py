"""The intervention `drop-weight-decay`."""

import torch

from .parts import change, linear, step


def test_decay_is_dropped():
    with change("drop-weight-decay"):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, weight_decay=5.0)
        assert step(layer, optimizer, x=0.0) == 1.0
