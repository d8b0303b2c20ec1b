"""What a network is made with is the same in every run; drop-out too."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
