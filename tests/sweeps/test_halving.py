"""Successive halving: how long, and who goes on."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gainstage.sweeps.halving import FEWEST, rungs, survivors


def point(x):
    return (("lr", x),)


@given(st.integers(1, 5000), st.integers(1, 5), st.integers(1, 200))
def test_the_last_rung_is_whole_and_none_is_too_short(steps, eta, count):
    found = rungs(steps, eta, count)
    assert found[-1] == steps
    assert list(found) == sorted(set(found))
    assert all(length >= FEWEST for length in found[:-1])
    assert len(found) == 1 or count // eta ** (len(found) - 1) > 1


def test_the_best_third_goes_on():
    losses = {point(x): [x, x + 0.1] for x in (3, 1, 2, 6, 5, 4)}
    assert survivors(losses, 3) == [point(1), point(2)]


def test_what_failed_does_not_go_on_even_if_few_are_left():
    losses = {point(x): [math.inf] for x in range(5)} | {point(9): [2.0]}
    assert survivors(losses, 2) == [point(9)]
    assert survivors({point(1): [math.nan]}, 2) == []


def test_ones_is_everyone():
    losses = {point(x): [x] for x in (3, 1, 2)}
    assert survivors(losses, 1) == list(losses)
