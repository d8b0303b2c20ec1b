"""The published thresholds, each on a run that it is made for and on a plain one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gainstage.testing import STEPS, Chain, falling_loss, flat_loss

PATH = Path(__file__).parents[2] / "benchmarks" / "thresholds.py"
T = np.arange(STEPS)
FADING = 10.0 ** np.arange(-8, -2)
SICK = {
    "non-finite": Chain(loss=np.where(T > 80, np.nan, falling_loss())),
    "unnormalized-input": Chain(input={"std": 120.0}),
    "overconfident-start": Chain(loss=falling_loss(25.0, 0.1)),
    "parameters-not-updated": Chain(ratio=np.array([1e-3, 0, 1e-3, 1e-3, 1e-3, 1e-3])),
    "dead-units": Chain(dead=0.9),
    "saturated-units": Chain(activation="tanh", saturated=0.8),
    "vanishing-gradient": Chain(grad_l2=FADING),
    "exploding-gradient": Chain(grad_l2=FADING[::-1]),
    "exploding-activation": Chain(forward_db=np.linspace(0, 70, 6)),
    "learning-rate-too-high": Chain(ratio=0.5),
    "learning-rate-too-low": Chain(ratio=1e-6),
    "loss-not-decreasing": Chain(loss=flat_loss()),
    "oscillating-loss": Chain(loss=2.3 + 0.4 * (-1.0) ** T),
}


@pytest.fixture(scope="module")
def thresholds():
    spec = importlib.util.spec_from_file_location("thresholds", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("code", SICK)
def test_a_symptom_is_seen_where_it_is(thresholds, code):
    assert thresholds.SYMPTOMS[code](SICK[code].recording())


@pytest.mark.parametrize("code", sorted(set(SICK) - {"oscillating-loss"}))
def test_a_symptom_is_not_seen_in_a_plain_training(thresholds, code):
    assert not thresholds.SYMPTOMS[code](Chain().recording())


def test_the_noise_of_batches_is_called_an_oscillation(thresholds):
    assert thresholds.SYMPTOMS["oscillating-loss"](Chain().recording())  # as it was published


def test_unequal_variances_of_the_weights_are_called_a_poor_start(thresholds):
    recording = Chain().recording()
    judged = thresholds.SYMPTOMS["poor-initialization"]
    assert not judged(recording)
    for site in recording.of_kind("weight"):
        spread = 0.1 if site.order else 0.5
        recording._values[site.id, "std"] = np.full(STEPS, spread, dtype=np.float32)
    assert judged(recording)


def test_a_condition_must_last(thresholds):
    assert not thresholds.lasts(np.array([True] * 4 + [False] + [True] * 4))
    assert thresholds.lasts(np.array([False] + [True] * 5))
