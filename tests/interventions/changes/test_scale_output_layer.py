"""The intervention `scale-output-layer`."""

import pytest
import torch
from torch import nn

from .parts import change, linear


def test_the_last_layer_or_a_named_one_begins_smaller_once():
    model = nn.Sequential(linear(), linear())
    with change("scale-output-layer", factor=0.1):
        model(torch.ones(1, 1))
        assert model(torch.ones(1, 1)).item() == pytest.approx(0.1)
    with change("scale-output-layer", factor=0.5, layer="0"):
        model(torch.ones(1, 1))
    assert [layer.weight.item() for layer in model] == pytest.approx([0.5, 0.1])
