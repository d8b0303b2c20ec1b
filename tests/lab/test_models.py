"""The networks: their size, their weights' variance, the names of their parameters."""

import pytest
import torch

from gainstage.lab.models import DeepMLP, draw_kaiming_


def test_kaimings_variance_suits_each_layer():
    model = DeepMLP()
    draw_kaiming_(model, torch.Generator().manual_seed(0))
    variances = [p.var().item() * p.shape[1] for p in model.parameters() if p.dim() == 2]
    assert variances == pytest.approx([1, 2, 2, 2, 2], rel=0.1)
    assert not any(p.any() for p in model.parameters() if p.dim() == 1)


def test_names_are_those_of_the_published_checkpoints():
    names = list(DeepMLP().state_dict())
    assert names[:3] == ["layers.0.weight", "layers.0.bias", "layers.2.weight"]
    assert DeepMLP()(torch.zeros(3, 28, 28)).shape == (3, 10)
