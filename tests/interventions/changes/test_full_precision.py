"""The intervention `full-precision`."""

import torch
from torch import nn

from .parts import change


def test_sixteen_bits_become_thirty_two_however_they_are_asked_for():
    with change("full-precision"):
        model = nn.Linear(2, 2).half()
        assert model.weight.dtype == torch.float32
        assert nn.Linear(2, 2).to(torch.bfloat16).weight.dtype == torch.float32
        assert nn.Linear(2, 2, dtype=torch.float16).weight.dtype == torch.float32
        for made in (
            torch.randn(2, dtype=torch.float16),
            torch.ones(2).bfloat16(),
            torch.ones(2).to(torch.float16),
            torch.ones(2).to(dtype=torch.bfloat16),
            torch.tensor([1.0]).type(torch.float16),
        ):
            assert made.dtype == torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert model(torch.ones(1, 2)).dtype == torch.float32
    assert torch.ones(2).half().dtype == torch.float16
