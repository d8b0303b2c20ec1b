"""Small trainings of the usual kinds, on which the price of watching is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY: Final = 65
CONTEXT: Final = 64

Batch: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Workload:
    """A network and the batches it is trained on, by Adam and cross entropy.

    Attributes:
        model: makes the network, its weights drawn by torch's generator.
        batch: draws inputs and class indices by the given generator.
        rounds: how many steps are enough for a steady median.
    """

    model: Callable[[], nn.Module]
    batch: Callable[[torch.Generator], Batch]
    rounds: int


class Training:
    """A model and its optimiser; the same seed makes the same weights.

    Example:
        >>> batch = WORKLOADS["MLP"].batch(torch.Generator().manual_seed(0))
        >>> one, other = (Training(WORKLOADS["MLP"]) for _ in range(2))
        >>> one.step(batch) == other.step(batch)
        True
    """

    def __init__(self, workload: Workload, *, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = workload.model()
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def step(self, batch: Batch) -> float:
        """Train on one batch, as most loops do, and return its loss."""
        inputs, targets = batch
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(inputs).flatten(0, -2), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


class Transformer(nn.Module):
    """A character model: 4 causal pre-norm blocks of width 128, with 4 heads each."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(VOCABULARY, 128)
        self.position = nn.Embedding(CONTEXT, 128)
        block = nn.TransformerEncoderLayer(
            128, 4, 512, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, 4, nn.LayerNorm(128), enable_nested_tensor=False)
        self.head = nn.Linear(128, VOCABULARY)
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the next character, (batch, time, vocabulary), from tokens (batch, time)."""
        x = self.token(tokens) + self.position.weight
        scores: Tensor = self.head(self.blocks(x, mask=self.mask, is_causal=True))
        return scores


def _mlp() -> nn.Module:
    widths = (784, 512, 256, 256, 128)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


def _cnn() -> nn.Module:
    channels = (3, 32, 64, 64, 128, 128)
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(channels)):
        convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
        if index in {1, 3, 4}:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 10))


def _images(*shape: int) -> Callable[[torch.Generator], Batch]:
    def batch(generator: torch.Generator) -> Batch:
        images = torch.randn(shape, generator=generator)
        return images, torch.randint(10, shape[:1], generator=generator)

    return batch


def _text(generator: torch.Generator) -> Batch:
    text = torch.randint(VOCABULARY, (16, CONTEXT + 1), generator=generator)
    return text[:, :-1], text[:, 1:]


WORKLOADS: Final[dict[str, Workload]] = {
    "MLP": Workload(_mlp, _images(256, 784), rounds=600),
    "CNN": Workload(_cnn, _images(64, 3, 32, 32), rounds=40),
    "transformer": Workload(Transformer, _text, rounds=80),
}
