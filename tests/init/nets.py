"""The networks that the levels are shown on, and a few that are hard to read."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def plain_mlp(depth, width, activation=nn.ReLU):
    """Linear layers with an activation behind each but the last."""
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers[:-1])


def plain_cnn(depth, channels, *, into=3):
    """3x3 convolutions with padding, a ReLU behind each but the last."""
    layers = []
    for i in range(depth):
        layers += [nn.Conv2d(channels if i else into, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Pre-norm blocks behind an embedding, tied to the output layer."""

    def __init__(self, depth, width, heads=8, tokens=100):
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class ResidualMlp(nn.Module):
    """Branches of two layers, a norm before each."""

    def __init__(self, depth, width):
        super().__init__()
        self.up = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))

    def forward(self, x):
        for up, down, norm in zip(self.up, self.down, self.norm, strict=True):
            x = x + down(F.relu(up(norm(x))))
        return x


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
