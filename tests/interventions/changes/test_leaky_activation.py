"""The intervention `leaky-activation`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .parts import change


def test_rectifiers_of_every_kind_leak():
    x = torch.tensor([-1.0])
    with change("leaky-activation", slope=0.2):
        assert nn.ReLU()(x).item() == pytest.approx(-0.2)
        assert F.relu(x).item() == pytest.approx(-0.2)
        assert torch.relu(x).item() == pytest.approx(-0.2)
        assert x.relu().item() == pytest.approx(-0.2)
