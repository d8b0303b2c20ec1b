"""What the lab's training loops cost beyond the steps themselves, beside the usual way."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from gainstage import optim
from gainstage.bench.bench import BENCHES, Line, Outcome, Settings
from gainstage.errors import MissingExtraError
from gainstage.lab.data import LETTERS, MEAN, STD, Images
from gainstage.lab.experiments.names import Options, draw_weights, loss_of, train_
from gainstage.lab.models import DeepMLP
from gainstage.lab.training import epoch

BATCH: Final = 256
IMAGES: Final = 20 * BATCH
STEPS: Final = 1_000
"""Of the model of names, in a turn."""
ROUNDS: Final = 15

Turn: TypeAlias = Callable[[], object]


class Transformed(Dataset[tuple[Tensor, int]]):
    """Images as most code holds them: each made a picture, a tensor, and normal when asked for.

    What torchvision's FashionMNIST does with ``ToTensor`` and ``Normalize``.
    """

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        try:
            from PIL import Image  # noqa: PLC0415  # comes with matplotlib
        except ImportError as error:
            msg = "The usual way needs Pillow: run `pip install 'gainstage[lab]'`."
            raise MissingExtraError(msg) from error
        self.pixels, self.labels, self.picture = pixels, labels, Image.fromarray
        self.mean, self.std = torch.tensor(MEAN).view(1, 1, 1), torch.tensor(STD).view(1, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    @override
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = self.picture(self.pixels[index].numpy())
        image = torch.from_numpy(np.array(picture)).unsqueeze(0).float().div(255)
        return image.sub_(self.mean).div_(self.std), int(self.labels[index])


@BENCHES.register("training")
def training(settings: Settings) -> Outcome:
    """A step of the lab's loops, on one thread, beside the bare step and a DataLoader's."""
    del settings  # the yardstick is the bare step
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lines = [*_images(), *_names()]
    finally:
        torch.set_num_threads(threads)
    return Outcome(lines)


def _images() -> list[Line]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (IMAGES, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (IMAGES,), generator=generator)
    images = Images(pixels.flatten(1).float().div(255).sub(MEAN).div(STD), labels)
    loader = DataLoader(Transformed(pixels, labels), BATCH, shuffle=True, drop_last=True)
    fixed = images.x[:BATCH].clone(), labels[:BATCH].clone()
    steps = IMAGES // BATCH

    def bare() -> Turn:
        model = DeepMLP()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def turn() -> None:
            for _ in range(steps):
                optimizer.zero_grad()
                F.cross_entropy(model(fixed[0]), fixed[1]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()

        return turn

    def loop(batches: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> Turn:
        model = DeepMLP()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        return lambda: epoch(model, optimizer, batches())

    turns = {
        "bare step": bare(),
        "gainstage": loop(lambda: images.batches(BATCH, generator)),
        "DataLoader, transforms": loop(lambda: iter(loader)),
    }
    return _lines("images, deep MLP", _race(turns, steps), 1.10)


def _names() -> list[Line]:
    generator = torch.Generator().manual_seed(0)
    contexts = torch.randint(len(LETTERS), (180_000, 3), generator=generator)
    letters = torch.randint(len(LETTERS), (180_000,), generator=generator)
    few = contexts[:32], letters[:32]
    options = Options(steps=STEPS)

    def bare() -> Turn:
        weights = draw_weights(0)

        def turn() -> None:
            for _ in range(STEPS):
                gradients = torch.autograd.grad(loss_of(weights, *few), weights)
                with torch.no_grad():
                    for weight, gradient in zip(weights, gradients, strict=True):
                        weight.add_(gradient, alpha=-0.1)

        return turn

    weights = draw_weights(0)
    turns = {
        "bare step": bare(),
        "gainstage": lambda: train_(weights, (contexts, letters), few, options),
    }
    return _lines("names, three letters", _race(turns, STEPS), 1.2)


def _race(turns: dict[str, Turn], steps: int) -> dict[str, float]:
    """Median seconds of a step, of contestants that take turns."""
    spent: dict[str, list[float]] = {name: [] for name in turns}
    for _, (name, turn) in itertools.product(range(ROUNDS + 1), turns.items()):
        start = time.perf_counter()
        turn()
        spent[name].append((time.perf_counter() - start) / steps)
    return {name: float(np.median(times[1:])) for name, times in spent.items()}


def _lines(workload: str, seconds: dict[str, float], bound: float) -> list[Line]:
    bare = seconds["bare step"]
    reach = {"gainstage": ("<=", bound)}
    return [
        Line(
            name,
            unit="ms",
            wall=1e3 * s,
            ratio=s / bare,
            reach=reach.get(name),
            workload=workload,
        )
        for name, s in seconds.items()
    ]
