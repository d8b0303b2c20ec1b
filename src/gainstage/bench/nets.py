"""Deep networks without tricks, on which it shows whether a start keeps its levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override


def plain_mlp(depth: int, width: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    """Linear layers with an activation behind each but the last."""
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers[:-1])


def plain_cnn(depth: int, channels: int, *, into: int = 3) -> nn.Module:
    """3x3 convolutions with padding, a ReLU behind each but the last."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(channels if i else into, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    @override
    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        down: Tensor = self.down(F.gelu(self.up(self.norm2(x))))
        return x + down


class Transformer(nn.Module):
    """Pre-norm blocks behind an embedding, tied to the output layer."""

    def __init__(self, depth: int, width: int, heads: int = 8, tokens: int = 100) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens, bias=False)
        self.head.weight = self.embedding.weight

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.head(self.norm(x))
        return scores


class ResidualMlp(nn.Module):
    """Branches of two layers, a norm before each."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.up = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))

    @override
    def forward(self, x: Tensor) -> Tensor:
        for up, down, norm in zip(self.up, self.down, self.norm, strict=True):
            x = x + down(F.relu(up(norm(x))))
        return x


@dataclass(frozen=True, slots=True)
class Deep:
    """A network, data for it, and what its stages promise.

    Attributes:
        make: the network.
        batch: an input, by a seed.
        stages: functions whose outputs are its stages.
        forward_db: how far a stage's level may lie from the reference.
        backward_db: likewise of the gradient, relative to the last stage's; None for no promise.
        drawn_by: schemes that are shown beside torch's default.
        sent_back: whether a gradient is sent back too, which costs twice the forward pass.
        reference: ``"0 dB"``, or ``"predicted"`` where the theory says that the level changes.
    """

    make: Callable[[], nn.Module]
    batch: Callable[[int], Any]
    stages: frozenset[str]
    forward_db: float
    backward_db: float | None
    drawn_by: tuple[str, ...] = ("kaiming_normal", "orthogonal")
    sent_back: bool = True
    reference: str = "0 dB"


def _normal(*shape: int) -> Callable[[int], Tensor]:
    return lambda seed: torch.randn(shape, generator=torch.Generator().manual_seed(1000 + seed))


def _tokens(seed: int) -> Tensor:
    return torch.randint(100, (2, 32), generator=torch.Generator().manual_seed(1000 + seed))


def deep(width: int = 512) -> dict[str, Deep]:
    """The four networks by name, at a width."""
    linear, convolution, stream = (frozenset({one}) for one in ("linear", "conv2d", "add"))
    return {
        "50-layer ReLU MLP": Deep(
            lambda: plain_mlp(50, width), _normal(64, width), linear, 1.5, 1.5
        ),
        "40-layer tanh MLP": Deep(
            lambda: plain_mlp(40, width, nn.Tanh), _normal(64, width), linear, 1.0, None
        ),
        "30-layer CNN": Deep(
            lambda: plain_cnn(30, width),
            _normal(1, 3, 32, 32),
            convolution,
            3.0,
            None,
            ("kaiming_normal",),
            sent_back=False,
        ),
        "24-block transformer": Deep(
            lambda: Transformer(24, width),
            _tokens,
            stream,
            1.0,
            None,
            ("kaiming_normal",),
            reference="predicted",
        ),
    }
