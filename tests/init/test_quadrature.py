"""Expectations over a normal variable: closed forms, kinks that nobody told of, jumps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gainstage.errors import UsageError
from gainstage.init.quadrature import expectation

MEANS = st.floats(-3, 3)
STDS = st.floats(1e-3, 30)


def normal(z):
    return math.erfc(-z / math.sqrt(2)) / 2


@given(MEANS, STDS, st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_polynomials(mean, std, power):
    moments = [1.0, mean]
    for k in range(2, power + 1):
        moments.append(mean * moments[k - 1] + (k - 1) * std**2 * moments[k - 2])
    found = expectation(lambda x: x[None] ** power, mean, std)
    scale = (abs(mean) + std) ** power * 100
    assert found.value[0] == pytest.approx(moments[power], abs=1e-12 * scale)


@given(MEANS, STDS, st.floats(-4, 4))
@settings(max_examples=100, deadline=None)
def test_a_jump_wherever_it_is(mean, std, at):
    found = expectation(lambda x: (x[None] > at).astype(float), mean, std)
    assert found.value[0] == pytest.approx(normal((mean - at) / std), abs=1e-10)


@given(MEANS, STDS, st.floats(-4, 4))
@settings(max_examples=100, deadline=None)
def test_a_kink_wherever_it_is(mean, std, at):
    found = expectation(lambda x: np.maximum(x - at, 0)[None], mean, std)
    d = (mean - at) / std
    exact = (mean - at) * normal(d) + std * math.exp(-d * d / 2) / math.sqrt(2 * math.pi)
    assert found.value[0] == pytest.approx(exact, abs=1e-10 * (1 + std))


@given(st.floats(0.05, 3.0))
@settings(max_examples=30, deadline=None)
def test_the_stated_error_bounds_the_true_one(frequency):
    found = expectation(lambda x: np.sin(frequency * x)[None] ** 2)
    exact = (1 - math.exp(-2 * frequency**2)) / 2
    assert abs(found.value[0] - exact) <= found.error[0] + 1e-15


def test_what_is_narrow_for_a_wide_input_is_not_missed():
    found = expectation(lambda x: (1 - np.tanh(x) ** 2)[None], 0.0, 1e4)
    exact = 2 / (1e4 * math.sqrt(2 * math.pi))  # the bump's area times the density at 0
    assert found.value[0] == pytest.approx(exact, rel=1e-6)


def test_a_function_that_is_not_finite_is_refused():
    with np.errstate(invalid="ignore"), pytest.raises(UsageError, match="not finite at -"):
        expectation(lambda x: np.sqrt(x)[None])
