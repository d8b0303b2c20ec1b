"""Experiment 4: a convolution's default initialisation, and why it says sqrt 5."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gainstage import init
from gainstage.lab.data import mnist
from gainstage.lab.experiment import Output, experiment
from gainstage.lab.plots import distributions
from gainstage.theory.fans import convolution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Range = tuple[float, float]

GAINS: Final = {
    1.0: 1.0,
    0.0: 1.41421356,
    0.01: 1.41414286,
    0.1: 1.40719509,
    5**0.5: 0.57735027,
}
"""Of a leaky ReLU, by its slope."""

ONE: Final[tuple[tuple[str, str, int, float, Range, float, Range], ...]] = (
    # what, scheme, stage; mean and deviation: published, and the 95 % range
    ("conv, default", "torch_default", 0, 0.0071, (-0.045, 0.043), 0.6753, (0.573, 0.715)),
    ("ReLU, Kaiming normal", "kaiming_normal", 1, 0.5330, (0.447, 0.585), 1.0288, (0.772, 1.139)),
    ("ReLU, default", "torch_default", 1, 0.1968, (0.190, 0.250), 0.3751, (0.330, 0.467)),
    ("ReLU, Kaiming uniform", "kaiming_uniform", 1, 0.5478, (0.454, 0.595), 1.0748, (0.784, 1.131)),
)

FOUR: Final[tuple[tuple[str, tuple[float, float], tuple[Range, ...]], ...]] = (
    # scheme; deviation of the output and of the first weight's gradient; ranges of the means and
    # deviations of both
    (
        "torch_default",
        (0.0095, 0.0478),
        ((-0.071, 0.075), (0.005, 0.014), (-0.026, 0.027), (0.020, 0.063)),
    ),
    (
        "kaiming_uniform",
        (0.2330, 0.3936),
        ((-1.16, 1.23), (0.171, 0.543), (-0.34, 0.45), (0.29, 1.00)),
    ),
)


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        seeds: networks of each kind, of which the median is judged.
    """

    seeds: int = 40


@experiment("kaiming-conv", number=4, options=Options, quick={"seeds": 5})
def kaiming_conv(options: Options, output: Output) -> None:
    """Why sqrt 5: a convolution's default loses the signal within four layers.

    One convolution on 100 images of MNIST, then four of them, measured (the median over seeds) and
    predicted. The default draws by the gain of a leaky ReLU of slope sqrt 5, which is 1/sqrt 3 in
    the place of sqrt 2: behind four layers the outputs for 100 images differ by a hundredth, and
    the labels, 0 to 9, are out of reach. With the gain of a ReLU signal and gradient are back. The
    prediction of that last deviation is crude, and judged within a factor of two: one covariance
    stands for all distances between the positions that are averaged.

    Source:
        Howard et al., fast.ai, "Why sqrt(5)?", lesson 9 of 2019; He et al. 2015.
    """
    for slope, gain in GAINS.items():
        found = init.gain(nn.LeakyReLU(slope))
        output.add(f"gain of slope {slope:.4g}", found, gain, 1e-8, kind="D", quick=True)
    fans = convolution((32, 1, 5, 5))
    output.add("fan in of Conv2d(1, 32, 5)", fans.fan_in, 25, 0, kind="D", quick=True)
    output.add("fan out", fans.fan_out, 800, 0, kind="D", quick=True)
    x, y = _images()
    for what, scheme, stage, mean, means, std, stds in ONE:
        rows = [_one(scheme, seed, x, stage) for seed in range(options.seeds)]
        found_mean, found_std, expected_mean, expected_std = np.median(rows, axis=0)
        output.add(f"{what}: mean", found_mean, mean, means)
        output.add(f"{what}: mean, predicted", expected_mean, mean, means)
        output.add(f"{what}: deviation", found_std, std, stds)
        output.add(f"{what}: deviation, predicted", expected_std, std, stds)
    for scheme, published, ranges in FOUR:
        medians = np.median([_four(scheme, s, x, y)[0] for s in range(options.seeds)], axis=0)
        names = ("output mean", "output deviation", "gradient mean", "gradient deviation")
        told = (None, published[0], None, published[1])
        for at, name in enumerate(names):
            output.add(f"four layers, {scheme}: {name}", medians[at], told[at], ranges[at])
        label = f"four layers, {scheme}: output deviation, predicted (crude)"
        low, high = ranges[1]
        output.add(label, medians[4], published[0], (low / 2, 2 * high))
        output.picture(f"four-{scheme}", _picture(scheme, x, y))


def _images() -> tuple[Tensor, Tensor]:
    """The first 100 of the last 10,000 training images, and their labels."""
    images, labels, _, _ = mnist()
    train = images[:50_000].double() / 255
    x = (images[50_000:50_100].double() / 255 - train.mean()) / train.std()
    return x.float()[:, None], labels[50_000:50_100]


def _gain(scheme: str) -> float | None:
    return None if scheme == "torch_default" else math.sqrt(2)


def _one(scheme: str, seed: int, x: Tensor, stage: int) -> tuple[float, ...]:
    """Mean and deviation of a stage, measured and predicted."""
    model = nn.Sequential(nn.Conv2d(1, 32, 5), nn.ReLU())
    init.apply_(model, scheme, generator=seed, gain=_gain(scheme))
    found = init.predict(model, x).stages[stage]
    return found.mean, found.std, found.predicted_mean, found.predicted_std


def four_layers() -> nn.Sequential:
    """The network of four convolutions: one number for each image."""
    layers: list[nn.Module] = []
    for into, out, size in ((1, 8, 5), (8, 16, 3), (16, 32, 3), (32, 1, 3)):
        layers += [nn.Conv2d(into, out, size, stride=2, padding=size // 2), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _four(
    scheme: str, seed: int, x: Tensor, y: Tensor
) -> tuple[NDArray[np.float64], nn.Sequential]:
    """Means and deviations of the output and the first gradient, and the predicted deviation."""
    model = four_layers()
    init.apply_(model, scheme, generator=seed, gain=_gain(scheme))
    result = model(x)
    F.mse_loss(result.flatten(), y.float()).backward()  # type: ignore[no-untyped-call]
    gradient = next(model.parameters()).grad
    assert isinstance(gradient, Tensor)  # noqa: S101 - backward has just put it there
    measured = [v for t in (result.detach(), gradient) for v in (float(t.mean()), float(t.std()))]
    predicted = init.predict(model, x).stages[-1].predicted_spread
    return np.array([*measured, predicted]), model


def _picture(scheme: str, x: Tensor, y: Tensor) -> Figure:
    _, model = _four(scheme, 0, x, y)
    layers = [m for m in model.children() if isinstance(m, nn.Conv2d)]
    outputs, h = [], x
    with torch.no_grad():
        for module in list(model.children())[:-2]:
            h = module(h)
            if isinstance(module, nn.Conv2d):
                outputs.append(h)
    gradients = [m.weight.grad for m in layers if m.weight.grad is not None]
    names = [f"layer {i + 1}" for i in range(len(layers))]
    return distributions({"outputs": outputs, "gradients": gradients}, names, title=scheme)
