"""The intervention `train-mode`."""

import torch
from torch import nn

from .parts import change


def test_a_model_trains_in_training_mode_and_is_evaluated_as_asked():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    model.eval()
    with change("train-mode"):
        with torch.no_grad():
            model(torch.ones(1, 2))
        assert not model.training
        model(torch.ones(1, 2))
    assert model.training
    assert model[1].training
