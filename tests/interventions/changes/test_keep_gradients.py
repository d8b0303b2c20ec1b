"""The intervention `keep-gradients`."""

import pytest
import torch

from .parts import change, linear


@pytest.mark.parametrize("clear", ["optimizer", "none", "zero"])
def test_gradients_that_are_cleared_too_early_reach_the_step(clear):
    layer = linear()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with change("keep-gradients"):
        for _ in range(2):
            layer(torch.ones(1, 1)).sum().backward()
            if clear == "optimizer":
                optimizer.zero_grad()
            elif clear == "none":
                layer.weight.grad = None
            else:
                layer.weight.grad.zero_()
            optimizer.step()
    assert layer.weight.item() == pytest.approx(0.8)


def test_gradients_that_add_up_on_purpose_still_do():
    layers = [linear(), linear()]
    with change("keep-gradients"):
        for layer in layers:
            layer(torch.ones(1, 1)).sum().backward()
            layer(torch.ones(1, 1)).sum().backward()
        torch.optim.SGD(layers[0].parameters(), lr=0.1).step()
    assert [layer.weight.item() for layer in layers] == pytest.approx([0.8, 1.0])
    assert layers[1].weight.grad.item() == 2.0  # another optimiser's to step on
