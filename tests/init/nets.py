"""Networks that are hard to read, beside those that the levels are shown on."""

from __future__ import annotations

import torch
from torch import nn

from gainstage.bench.nets import ResidualMlp, Transformer, plain_cnn, plain_mlp

__all__ = ["ByHand", "Dependent", "ResidualMlp", "Transformer", "plain_cnn", "plain_mlp"]


class ByHand(nn.Module):
    """Products with bare parameters, on either side, and attention written out."""

    def __init__(self, width=32):
        super().__init__()
        self.into = nn.Parameter(torch.randn(16, width) / 4)
        self.query, self.key, self.value = (
            nn.Parameter(torch.randn(width, width) / width**0.5) for _ in range(3)
        )
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        h = torch.tanh(x @ self.into)
        q, k, v = h @ self.query, h @ self.key, h @ self.value
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        return scores.masked_fill(mask, float("-inf")).softmax(-1) @ v * self.scale


class Dependent(nn.Module):
    """A forward that no symbolic trace can follow."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        h = self.a(x)
        return self.b(h.relu() if float(h.detach().sum()) > -1e9 else h)
