"""Published levels of FashionMNIST and MNIST networks: predicted inside the range over seeds.

The figures are those of the lab's experiments 4 and 5; here a few images stand for the data sets.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gainstage.lab.data import MEAN, STD, Images
from gainstage.lab.experiments import initialization as fashion_study
from gainstage.lab.experiments import kaiming_conv as mnist_study
from gainstage.lab.models import DeepMLP

DATA = Path(os.environ.get("GAINSTAGE_DATA", "/nowhere")) / "small"
CASES = fashion_study.CASES
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="GAINSTAGE_DATA is not set")


@pytest.fixture(scope="module")
def fashion():
    held = np.load(DATA / "fashion_mnist_split42_first1024.npz")
    x = torch.from_numpy(held["images"]).float().reshape(1024, -1) / 255
    return Images((x - MEAN) / STD, torch.from_numpy(held["labels"]).long())


@pytest.fixture(scope="module")
def mnist():
    held = np.load(DATA / "mnist_valid100.npz")
    x = torch.from_numpy(held["images"]).float().reshape(100, 1, 28, 28) / 255
    x = (x - float(held["train50k_mean_over_255"])) / float(held["train50k_std_over_255"])
    return x, torch.from_numpy(held["labels"]).long()


def medians(name, batch, seeds):
    """Over seeds, of outputs' and gradients' variances: [layers, (measured, predicted)] each."""
    case = CASES[name]
    runs = [fashion_study._levels(fashion_study._drawn(case, s), batch) for s in range(seeds)]
    return [np.median([run[at] for run in runs], axis=0) for at in (0, 1)]


def test_constant_weights_to_five_digits(fashion):
    model = DeepMLP(nn.Identity).double()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.005)
    outputs, _ = fashion_study._levels(model, Images(fashion.x.double(), fashion.y))
    for measured_or_predicted in np.array(outputs).T:
        assert measured_or_predicted.tolist() == pytest.approx(fashion_study.CONSTANT, rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_variances_are_predicted_inside_their_range(name, fashion):
    outputs, gradients = medians(name, fashion, 4)
    for found, told in ((outputs, CASES[name].outputs), (gradients, CASES[name].gradients)):
        for (_, predicted), (_, (low, high)) in zip(found, told, strict=False):
            assert low <= predicted <= high, (found, told)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_median_over_seeds_is_inside_the_range(name, fashion):
    outputs, gradients = medians(name, fashion, 20)
    for found, told in ((outputs, CASES[name].outputs), (gradients, CASES[name].gradients)):
        for pair, (_, (low, high)) in zip(found, told, strict=False):
            assert all(low <= value <= high for value in pair), (found, told)


@pytest.mark.parametrize("seeds", [5, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", mnist_study.ONE, ids=lambda case: case[0])
def test_what_a_convolution_puts_out(case, seeds, mnist):
    _, scheme, stage, _, means, _, deviations = case
    rows = [mnist_study._one(scheme, seed, mnist[0], stage) for seed in range(seeds)]
    ranges = (means, deviations, means, deviations)
    for value, (low, high) in zip(np.median(rows, axis=0), ranges, strict=True):
        assert low <= value <= high


@pytest.mark.parametrize("case", mnist_study.FOUR, ids=lambda case: case[0])
def test_four_convolutions(case, mnist):
    scheme, _, ranges = case
    found = np.median([mnist_study._four(scheme, s, *mnist)[0] for s in range(12)], axis=0)
    for value, (low, high) in zip(found[:4], ranges, strict=True):
        assert low <= value <= high
