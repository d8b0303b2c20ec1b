"""Experiment 5: initialisations of the deep MLP, on FashionMNIST, predicted and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gainstage import init
from gainstage.lab.data import Images, fashion_mnist
from gainstage.lab.experiment import Output, experiment
from gainstage.lab.models import DeepMLP
from gainstage.lab.plots import curves, distributions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Range = tuple[float, float]
Floats = NDArray[np.float64]

CONSTANT: Final = (2.0582757, 13.489119, 22.100567, 36.209572, 14.831439)
"""Variance of each linear layer's output, all weights and biases 0.005, no activation."""


@dataclass(frozen=True, slots=True)
class Case:
    """A way to draw the network.

    Attributes:
        activation: between the layers.
        draw: draws the weights by a seed.
        outputs: variance of each linear layer's output: published, and the 95 % range.
        gradients: variance of each weight's gradient, likewise; empty if none was published.
    """

    activation: Callable[[], nn.Module]
    draw: Callable[[nn.Module, int], object]
    outputs: tuple[tuple[float, Range], ...]
    gradients: tuple[tuple[float, Range], ...] = ()


def _normal(model: nn.Module, seed: int, *, std: float) -> None:
    generator = Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():  # biases too
            parameter.normal_(0.0, std, generator=generator)


def _scheme(model: nn.Module, seed: int, *, scheme: str) -> None:
    init.apply_(model, scheme, generator=seed)


CASES: Final = {
    "N(0, 0.01)": Case(
        nn.Identity,
        partial(_normal, std=0.01),
        (
            (0.0783, (0.0761, 0.0843)),
            (0.00406, (0.00386, 0.00457)),
            (0.000223, (0.000182, 0.000232)),
            (0.000116, (0.000085, 0.000136)),
            (0.0000816, (0.000033, 0.000181)),
        ),
    ),
    "N(0, 0.1)": Case(
        nn.Identity,
        partial(_normal, std=0.1),
        (
            (8.08, (7.53, 8.41)),
            (37.9, (37.4, 46.2)),
            (96.4, (90.9, 119.0)),
            (237.0, (228.0, 319.0)),
            (303.0, (237.0, 449.0)),
        ),
    ),
    "1/fan_in": Case(
        nn.Identity,
        partial(_scheme, scheme="lecun_normal"),
        (
            (1.009, (0.956, 1.076)),
            (1.070, (0.933, 1.090)),
            (1.126, (0.909, 1.127)),
            (1.131, (0.870, 1.155)),
            (1.050, (0.705, 1.467)),
        ),
    ),
    "Xavier": Case(
        nn.Identity,
        partial(_scheme, scheme="xavier_uniform"),
        (
            (1.221, (1.159, 1.296)),
            (1.584, (1.474, 1.821)),
            (1.543, (1.454, 1.903)),
            (2.021, (1.834, 2.578)),
            (2.687, (2.511, 5.811)),
        ),
        (
            (0.000399, (0.00024, 0.00095)),
            (0.000702, (0.00043, 0.0017)),
            (0.000940, (0.00059, 0.0023)),
            (0.00148, (0.00089, 0.0035)),
            (0.01255, (0.0083, 0.035)),
        ),
    ),
    "Xavier, tanh": Case(
        nn.Tanh,
        partial(_scheme, scheme="xavier_uniform"),
        (
            (1.205, (1.171, 1.302)),
            (0.592, (0.520, 0.593)),
            (0.296, (0.270, 0.308)),
            (0.250, (0.226, 0.271)),
            (0.273, (0.232, 0.424)),
        ),
        (
            (2.18e-5, (1.5e-5, 2.6e-5)),
            (3.60e-5, (2.5e-5, 4.3e-5)),
            (4.87e-5, (3.2e-5, 5.5e-5)),
            (6.27e-5, (4.7e-5, 8.1e-5)),
            (4.62e-4, (4.2e-4, 6.9e-4)),
        ),
    ),
    "Kaiming, ReLU": Case(
        nn.ReLU,
        partial(_scheme, scheme="kaiming_normal"),
        (
            (1.026, (0.967, 1.063)),
            (1.010, (0.888, 1.143)),
            (1.016, (0.806, 1.245)),
            (1.140, (0.724, 1.349)),
            (0.469, (0.434, 1.859)),
        ),
        (
            (3.41e-5, (2.5e-5, 1.0e-4)),
            (3.84e-5, (2.9e-5, 1.6e-4)),
            (4.71e-5, (3.4e-5, 1.9e-4)),
            (1.09e-4, (7.0e-5, 5.1e-4)),
            (1.78e-3, (7.7e-4, 1.1e-2)),
        ),
    ),
}


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        seeds: networks of each kind, of which the median is judged.
        images: of the batch.
        depth: layers of the depth study.
    """

    seeds: int = 20
    images: int = 1024
    depth: int = 40


@experiment("initialization", number=5, options=Options, quick={"seeds": 3, "depth": 12})
def initialization(options: Options, output: Output) -> None:
    """What an initialisation does to levels and gradients, predicted and measured.

    The deep MLP on one batch of FashionMNIST. Each figure stands twice: measured, the median over
    seeds, and predicted by gs.predict from the moments of batch and weights alone. Constant
    weights leave nothing to chance: there both are exact. Then the depth study: a tanh network
    drawn by Xavier does not settle at a variance of 0.25, it fades like 1/(2 depth).

    Source:
        Lippe, UvA deep learning tutorial 4, "Optimization and initialization"; Glorot & Bengio
        2010; He et al. 2015.
    """
    train, _, _ = fashion_mnist()
    batch = train[: options.images]
    power = float(batch.x.square().mean())
    output.add("second moment of the batch", power, 1.018476, 1e-5, kind="D", quick=True)
    _constant(batch, output)
    for name, case in CASES.items():
        runs = [_levels(_drawn(case, seed), batch) for seed in range(options.seeds)]
        for what, index, told in (("output", 0, case.outputs), ("gradient", 1, case.gradients)):
            measured, predicted = np.median([run[index] for run in runs], axis=0).T
            for layer, (published, within) in enumerate(told):
                label = f"{name}: {what} variance, layer {layer + 1}"
                output.add(label, measured[layer], published, within)
                output.add(f"{label}, predicted", predicted[layer], published, within)
        slug = name.replace(", ", "-").replace("(", "").replace(")", "").replace("/", "-over-")
        output.picture(slug.replace(" ", "-"), _picture(_drawn(case, 0), batch, name))
    _depth(batch, options, output)


def _constant(batch: Images, output: Output) -> None:
    model = DeepMLP(nn.Identity).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.005)
    (measured, predicted), _ = (
        np.array(part).T for part in _levels(model, Images(batch.x.double(), batch.y))
    )
    for layer, published in enumerate(CONSTANT):
        label = f"constant 0.005: output variance, layer {layer + 1}"
        within = 1e-5 * published
        output.add(label, measured[layer], published, within, kind="D", quick=True)
        label = f"{label}, predicted"
        output.add(label, predicted[layer], published, within, kind="D", quick=True)


def _drawn(case: Case, seed: int) -> nn.Module:
    model = DeepMLP(case.activation)
    case.draw(model, seed)
    return model


def _levels(model: nn.Module, batch: Images) -> tuple[list[Range], list[Range]]:
    """Variances of the outputs and of the weights' gradients: (measured, predicted) each."""
    levels = init.predict(model, (batch.x, batch.y), F.cross_entropy)
    outputs = [(s.std**2, s.predicted_std**2) for s in levels.stages if s.op == "linear"]
    return outputs, [(w.grad**2, w.predicted_grad**2) for w in levels.weights]


def _picture(model: nn.Module, batch: Images, title: str) -> Figure:
    """Distributions of weights, gradients and outputs, one panel a layer."""
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    kept: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda *a: kept.append(a[-1].detach())) for m in linear]
    F.cross_entropy(model(batch.x), batch.y).backward()  # type: ignore[no-untyped-call]
    for hook in hooks:
        hook.remove()
    gradients = [m.weight.grad for m in linear if m.weight.grad is not None]
    rows = {
        "weights": [m.weight.detach() for m in linear],
        "gradients": gradients,
        "outputs": kept,
    }
    names = [f"layer {i + 1}" for i in range(len(linear))]
    return distributions(rows, names, title=title)


def _depth(batch: Images, options: Options, output: Output) -> None:
    """Variances over a deep stack of 256, against the folklore."""
    width = 256
    x = batch.x[:, :width]
    x = (x - x.mean()) / x.std()
    series = {}
    for name, activation, scheme in (
        ("Xavier, tanh", nn.Tanh, "xavier_normal"),
        ("Kaiming, ReLU", nn.ReLU, "kaiming_normal"),
        ("Xavier, ReLU", nn.ReLU, "xavier_normal"),
    ):
        paths = []
        for seed in range(options.seeds):
            model = DeepMLP(activation, (width,) * (options.depth + 1))
            init.apply_(model, scheme, generator=seed)
            h, path = x, []
            with torch.no_grad():
                for layer in model.layers:
                    h = layer(h)
                    if isinstance(layer, nn.Linear):
                        path.append(float(h.var()))
            paths.append(path)
        series[name] = (list(range(1, options.depth + 1)), np.median(paths, axis=0).tolist())
    tanh = series["Xavier, tanh"][1]
    for at, value in ((5, 0.127), (10, 0.063), (40, 0.011)):
        if at <= options.depth:
            label = f"Xavier, tanh: variance at layer {at} of a deep stack"
            output.add(label, tanh[at - 1], value, (0.6 * value, 1.6 * value), quick=True)
    figure = curves(series, title="Depth", axes=("layer", "variance of its output"), log=True)
    figure.axes[0].axhline(0.25, color="#999999", linestyle=":")
    output.picture("depth", figure)
