"""Published levels of FashionMNIST and MNIST networks: predicted inside the range over seeds."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gainstage as gs

DATA = Path(os.environ.get("GAINSTAGE_DATA", "/nowhere")) / "small"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="GAINSTAGE_DATA is not set")

SIZES = (784, 512, 256, 256, 128, 10)

# variance of each linear layer's output: published, and the 95 % range over 100 seeds
CONSTANT = (2.0582757, 13.489119, 22.100567, 36.209572, 14.831439)
ACTIVATIONS = {
    "normal 0.01": (
        (0.0783, 0.00406, 0.000223, 0.000116, 0.0000816),
        (
            (0.0761, 0.0843), (0.00386, 0.00457), (0.000182, 0.000232),
            (0.000085, 0.000136), (0.000033, 0.000181),
        ),
    ),
    "normal 0.1": (
        (8.08, 37.9, 96.4, 237, 303),
        ((7.53, 8.41), (37.4, 46.2), (90.9, 119), (228, 319), (237, 449)),
    ),
    "lecun": (
        (1.009, 1.070, 1.126, 1.131, 1.050),
        ((0.956, 1.076), (0.933, 1.090), (0.909, 1.127), (0.870, 1.155), (0.705, 1.467)),
    ),
    "xavier": (
        (1.221, 1.584, 1.543, 2.021, 2.687),
        ((1.159, 1.296), (1.474, 1.821), (1.454, 1.903), (1.834, 2.578), (2.511, 5.811)),
    ),
    "xavier tanh": (
        (1.205, 0.592, 0.296, 0.250, 0.273),
        ((1.171, 1.302), (0.520, 0.593), (0.270, 0.308), (0.226, 0.271), (0.232, 0.424)),
    ),
    "kaiming relu": (
        (1.026, 1.010, 1.016, 1.140, 0.469),
        ((0.967, 1.063), (0.888, 1.143), (0.806, 1.245), (0.724, 1.349), (0.434, 1.859)),
    ),
}  # fmt: skip
GRADIENTS = {
    "xavier": (
        (0.00024, 0.00095), (0.00043, 0.0017), (0.00059, 0.0023),
        (0.00089, 0.0035), (0.0083, 0.035),
    ),
    "xavier tanh": (
        (1.5e-5, 2.6e-5), (2.5e-5, 4.3e-5), (3.2e-5, 5.5e-5),
        (4.7e-5, 8.1e-5), (4.2e-4, 6.9e-4),
    ),
    "kaiming relu": (
        (2.5e-5, 1.0e-4), (2.9e-5, 1.6e-4), (3.4e-5, 1.9e-4),
        (7.0e-5, 5.1e-4), (7.7e-4, 1.1e-2),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def fashion():
    held = np.load(DATA / "fashion_mnist_split42_first1024.npz")
    x = torch.from_numpy(held["images"]).float().reshape(1024, -1) / 255
    return (x - 0.2861) / 0.3530, torch.from_numpy(held["labels"]).long()


def deep_mlp(activation):
    layers = []
    for a, b in itertools.pairwise(SIZES):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers[:-1])


def drawn(name, seed):
    scheme, _, activation = name.partition(" ")
    model = deep_mlp({"tanh": nn.Tanh, "relu": nn.ReLU}.get(activation, nn.Identity))
    if scheme == "normal":
        std = float(activation)
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            nn.init.normal_(parameter, 0.0, std, generator=generator)
        return model
    names = {"lecun": "lecun_normal", "xavier": "xavier_uniform", "kaiming": "kaiming_normal"}
    gs.init.apply_(model, names[scheme], generator=seed)
    return model


def variances(model, x, y):
    levels = gs.predict(model, (x, y), F.cross_entropy)
    linear = [s for s in levels.stages if s.op == "linear"]
    measured = [s.std**2 for s in linear]
    predicted = [s.predicted_std**2 for s in linear]
    gradients = [(w.grad**2, w.predicted_grad**2) for w in levels.weights]
    return measured, predicted, gradients


def test_constant_weights_to_five_digits(fashion):
    model = deep_mlp(nn.Identity).double()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.005)
    x, y = fashion
    measured, predicted, _ = variances(model, x.double(), y)
    assert measured == pytest.approx(CONSTANT, rel=1e-5)
    assert predicted == pytest.approx(CONSTANT, rel=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_variances_are_predicted_inside_their_range(name, fashion):
    _, ranges = ACTIVATIONS[name]
    predicted = np.mean([variances(drawn(name, s), *fashion)[1] for s in range(3)], axis=0)
    for value, (low, high) in zip(predicted, ranges, strict=True):
        assert low <= value <= high, (predicted, ranges)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient_variances_are_predicted_inside_their_range(name, fashion):
    runs = np.array([variances(drawn(name, seed), *fashion)[2] for seed in range(5)])
    for predicted, (low, high) in zip(np.median(runs[:, :, 1], 0), GRADIENTS[name], strict=True):
        assert low <= predicted <= high, (runs, GRADIENTS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_median_over_seeds_is_inside_the_range(name, fashion):
    _, ranges = ACTIVATIONS[name]
    runs = [variances(drawn(name, seed), *fashion) for seed in range(20)]
    for at, (low, high) in enumerate(ranges):
        assert low <= np.median([run[0][at] for run in runs]) <= high
    for at, (low, high) in enumerate(GRADIENTS.get(name, ())):
        assert low <= np.median([run[2][at][0] for run in runs]) <= high


# ---- a convolution's default (MNIST)


@pytest.fixture(scope="module")
def mnist():
    held = np.load(DATA / "mnist_valid100.npz")
    x = torch.from_numpy(held["images"]).float().reshape(100, 1, 28, 28) / 255
    return (x - 0.130961) / 0.308495


CONVOLUTION = {
    # mean and deviation behind (or before) a ReLU: 95 % ranges over 400 seeds
    ("torch_default", 0): ((-0.045, 0.043), (0.573, 0.715)),
    ("kaiming_normal", 1): ((0.447, 0.585), (0.772, 1.139)),
    ("torch_default", 1): ((0.190, 0.250), (0.330, 0.467)),
    ("kaiming_uniform", 1): ((0.454, 0.595), (0.784, 1.131)),
}


@pytest.mark.parametrize("seeds", [5, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("scheme", "stage"), CONVOLUTION)
def test_what_a_convolution_puts_out(scheme, stage, seeds, mnist):
    means, deviations = CONVOLUTION[scheme, stage]
    model = nn.Sequential(nn.Conv2d(1, 32, 5), nn.ReLU())
    options = {} if scheme == "torch_default" else {"gain": math.sqrt(2)}
    rows = []
    for seed in range(seeds):
        gs.init.apply_(model, scheme, generator=seed, **options)
        found = gs.predict(model, mnist).stages[stage]
        rows.append((found.mean, found.std, found.predicted_mean, found.predicted_std))
    mean, std, expected, spread = np.median(rows, axis=0)
    for value, (low, high) in (
        (mean, means),
        (expected, means),
        (std, deviations),
        (spread, deviations),
    ):
        assert low <= value <= high


def four_layers():
    layers = []
    for a, b, k in ((1, 8, 5), (8, 16, 3), (16, 32, 3), (32, 1, 3)):
        layers += [nn.Conv2d(a, b, k, stride=2, padding=k // 2), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("scheme", "deviations"),
    [("torch_default", (0.005, 0.014)), ("kaiming_uniform", (0.171, 0.543))],
)
def test_the_spread_of_four_convolutions_collapses_under_the_default(scheme, deviations, mnist):
    rows = []
    for seed in range(20):
        model = four_layers()
        options = {} if scheme == "torch_default" else {"gain": math.sqrt(2)}
        gs.init.apply_(model, scheme, generator=seed, **options)
        rows.append(gs.predict(model, mnist).stages[-1].std)
    assert deviations[0] <= np.median(rows) <= deviations[1]
