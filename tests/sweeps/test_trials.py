"""One trial: what a function returns, or raises, is what came of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gainstage.sweeps.trials import Calling, Task, thinned

TASK = Task((("lr", 0.1),), 2, 50)


def call(function, *, timed=False):
    return Calling(function, timed)(TASK)


def test_a_number_is_the_loss():
    found = call(lambda lr, seed: lr + seed)
    assert (found.loss, found.curve, found.told) == (2.1, (), "")
    assert found.task == TASK


def test_of_losses_the_last_tenth_counts():
    found = call(lambda lr, seed, steps: np.linspace(1, 0, steps), timed=True)
    assert found.loss == pytest.approx(np.median(np.linspace(1, 0, 50)[-5:]))
    assert len(found.curve) == 50
    assert found.curve[-1] == (49, 0.0)


@pytest.mark.parametrize("given", [math.nan, [1.0, math.inf], [1.0, math.nan]])
def test_a_loss_that_is_not_finite_is_infinite(given):
    assert call(lambda lr, seed: given).loss == math.inf


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda lr, seed: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda lr, seed: [], "ValueError: it returned no loss"),
        (lambda lr, seed: None, "TypeError: float() argument"),
    ],
)
def test_what_it_raises_is_told(function, told):
    found = call(function)
    assert found.loss == math.inf
    assert found.told.startswith(told)


def test_long_curves_are_thinned():
    found = thinned(np.arange(1000.0))
    assert len(found) == 100
    assert found[0] == (9, 4.5)
    assert found[-1] == (999, 994.5)
