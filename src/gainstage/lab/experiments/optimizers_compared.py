"""Experiment 6: optimisers compared on a real training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from gainstage import optim
from gainstage.lab.data import Images, fashion_mnist
from gainstage.lab.experiment import Output, experiment
from gainstage.lab.files import find_file
from gainstage.lab.models import DeepMLP, draw_kaiming_
from gainstage.lab.plots import curves
from gainstage.lab.training import RESULT, Course, Plan, accuracy, fit, load, load_weights
from gainstage.probe.watch import watch

Make = Callable[[Iterable[Any]], torch.optim.Optimizer]

OPTIMIZERS: Final[dict[str, Make]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGDMom": lambda p: optim.EMA(p, lr=0.1, beta=0.9),
    "Adam": lambda p: optim.Adam(p, lr=1e-3),
}

PUBLISHED: Final = {"SGD": (0.8909, 0.8987), "SGDMom": (0.8883, 0.8954), "Adam": (0.8946, 0.8978)}
"""Accuracy of the published checkpoints on test and validation images."""


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        epochs: of each training.
        batch: images a step.
        seed: of the first training's weights and order; further ones count on.
        seeds: trainings of each optimiser.
        overwrite: train again what is there.
        watch: keep a run file of each optimiser's first training, at up to 5 % of its time.
    """

    epochs: int = 40
    batch: int = 256
    seed: int = 42
    seeds: int = 1
    overwrite: bool = False
    watch: bool = True


@experiment("optimizers-compared", number=6, options=Options, quick={"epochs": 1, "watch": False})
def optimizers_compared(options: Options, output: Output) -> None:
    """SGD, momentum and Adam on FashionMNIST end nearly alike.

    With good initialisation the deep MLP trains with any of the three; after forty epochs they
    differ by less than their seeds do. The published checkpoints are evaluated too, which checks
    the data, the split and the network to the last image.

    Source:
        Lippe, UvA Deep Learning Tutorials, tutorial 4; his checkpoints are those of its page.
    """
    data = fashion_mnist()
    for name, published in PUBLISHED.items():
        _evaluate_published(name, published, data, output)
    courses = {name: _train(name, make, data, options, output) for name, make in OPTIMIZERS.items()}
    for name, each in courses.items():
        score = float(np.median([course.test_acc for course in each if course.test_acc]))
        label = f"{name}: test accuracy, own training (median of {len(each)})"
        output.add(label, score, PUBLISHED[name][0], (0.881, 0.897))
    _draw({name: each[0] for name, each in courses.items()}, output)


def _evaluate_published(
    name: str, published: tuple[float, float], data: tuple[Images, Images, Images], output: Output
) -> None:
    path = find_file(f"saved_models_tutorial4/FashionMNIST_{name}.tar")
    model = DeepMLP()
    load_weights(model, load(path), path)
    one_image = 1.0001e-4
    for part, images, figure in (("test", data[2], published[0]), ("valid", data[1], published[1])):
        label = f"{name}: {part} accuracy, published checkpoint"
        output.add(label, accuracy(model, images), figure, one_image, kind="D", quick=True)


def _train(
    name: str, make: Make, data: tuple[Images, Images, Images], options: Options, output: Output
) -> list[Course]:
    courses = []
    for seed in range(options.seed, options.seed + options.seeds):
        model = DeepMLP()
        draw_kaiming_(model, torch.Generator().manual_seed(seed))
        plan = Plan(options.epochs, options.batch, seed)
        # a run of other parameters is another training
        folder = output.folder / f"{name}-{options.epochs}x{options.batch}-seed{seed}"
        optimizer = make(model.parameters())
        new = options.overwrite or not (folder / RESULT).exists()
        watched: AbstractContextManager[object] = nullcontext()
        if options.watch and new and seed == options.seed:
            watched = watch(model, optimizer, dir=output.folder / "runs" / name, budget=0.05)
        with watched:
            course = fit(model, optimizer, data, plan, folder, overwrite=options.overwrite)
        courses.append(course)
    return courses


def _draw(courses: dict[str, Course], output: Output) -> None:
    scores = {}
    for name, course in courses.items():
        epochs = range(1, len(course.val_scores) + 1)
        scores[f"{name}, train"] = (epochs, course.train_scores)
        scores[f"{name}, valid"] = (epochs, course.val_scores)
    figure = curves(scores, title="Accuracy on FashionMNIST", axes=("epoch", "accuracy"))
    output.picture("accuracy", figure)
    losses = {}
    for name, course in courses.items():
        values = np.array(course.train_losses)
        window = max(1, min(100, len(values) // 10))
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        losses[name] = (range(len(smooth)), smooth.tolist())
    axes = ("step", "loss, running mean")
    output.picture("loss", curves(losses, title="Training loss", axes=axes, log=True))
