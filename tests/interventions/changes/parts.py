"""What the tests of the interventions share."""

import torch
from torch import nn

from gainstage.interventions import Change, applied


def change(name, **params):
    return applied([Change(name, params)])


def linear(weight=1.0, inputs=1, outputs=1):
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def step(layer, optimizer, x=1.0):
    """One step on the sum of the outputs: the gradient of a weight is its input."""
    layer(torch.full((1, layer.in_features), x)).sum().backward()
    optimizer.step()
    return layer.weight.item()
