"""A band where there is one, "no signal" where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gainstage.errors import UsageError
from gainstage.sweeps.ranges import judge, ramp

RATES = np.geomspace(1e-5, 10, 100)


def course(falls_at=1e-2, rises_at=1.0, seeds=6, noise=0.05, seed=0):
    """A loss that falls from 2.3 around one rate and leaves beyond another."""
    rng = np.random.default_rng(seed)
    fall = 1 / (1 + (RATES / falls_at) ** -2)
    rise = 10 * np.maximum(np.log10(RATES / rises_at), 0) ** 2
    return 2.3 - 1.5 * fall + rise + noise * rng.normal(size=(seeds, len(RATES)))


def test_the_band_is_where_the_loss_falls_up_to_where_it_rises():
    found = judge(RATES, course())
    assert 5e-4 < found.band[0] < 1e-2
    assert 0.1 < found.band[1] < 2.0
    assert found.band[0] < found.suggestion < found.band[1]
    assert str(found).startswith("rates ")


@given(st.integers(0, 2**31), st.floats(0.01, 1.0))
@settings(max_examples=60)
def test_noise_alone_is_no_signal(seed, size):
    losses = 2.3 + size * np.random.default_rng(seed).normal(size=(6, 100))
    assert judge(RATES, losses).band is None


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_noise_that_leaves_in_the_end_is_no_signal(seed):
    """Random labels: nothing is learnt, and a rate that is too high breaks the network."""
    rng = np.random.default_rng(seed)
    rise = 10 * np.maximum(np.log10(RATES), 0) ** 2
    found = judge(RATES, 2.3 + rise + 0.05 * rng.normal(size=(6, 100)))
    assert found.band is None
    assert str(found).startswith("no signal: the loss falls by ")


def test_a_fall_to_chance_is_no_signal_where_chance_is_known():
    """A start that is too sure of itself falls to chance without learning anything."""
    losses = course(seeds=6)
    assert judge(RATES, losses).band is not None
    assert judge(RATES, losses, chance=0.8).band is None


def test_a_training_that_broke_down_is_read_up_to_there():
    losses = course()
    losses[:, 90:] = math.nan
    losses[0, 85:] = math.inf
    assert judge(RATES, losses).band == pytest.approx(judge(RATES, course()).band, rel=0.5)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: judge(RATES[:20], course()[:, :20]), "at least 40 steps"),
        (lambda: judge(RATES, course()[:, :50]), r"but got \(6, 50\) for 100 rates"),
        (lambda: judge(RATES, course(seeds=1)), "give at least two"),
        (lambda: judge(RATES, course() * math.nan), "not finite at the lowest rate"),
        (lambda: ramp(1.0, 0.1, 100), "from 1 to 0.1 in 100"),
        (lambda: ramp(0.1, 1.0, 5), "in at least 40 steps"),
    ],
)
def test_what_cannot_be_judged_is_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()
