"""Which is best, and how surely."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gainstage.sweeps import Sweep, Trial
from gainstage.sweeps.space import axis

LR = axis("lr", "0.01,0.1,1.0")


def sweep_of(losses, *, steps=100):
    trials = [
        Trial((("lr", lr),), seed, steps, loss)
        for lr, row in losses.items()
        for seed, loss in enumerate(row)
    ]
    return Sweep([LR], trials, "f")


def test_what_seeds_cannot_tell_apart_is_said_to_be_as_good():
    found = sweep_of({0.01: [2.0, 2.1, 2.2], 0.1: [0.9, 1.3, 1.1], 1.0: [1.0, 1.2, 1.15]})
    assert dict(found.best.row.point) == {"lr": 0.1}
    assert [str(row) for row in found.best.ties] == ["lr=1"]


def test_seeds_are_compared_in_pairs():
    """A seed that is hard for both says nothing of which is better."""
    hard = np.array([0.0, 5.0, 10.0])
    found = sweep_of({0.1: hard + 1.0, 1.0: hard + np.array([1.2, 1.21, 1.19])})
    assert found.best.ties == ()


def test_an_interval_is_that_of_student():
    row = sweep_of({0.1: [1.0, 2.0, 3.0]}).rows[0]
    assert row.spread == pytest.approx(1.0)
    assert row.interval == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)


@given(st.integers(0, 2**31))
def test_a_tie_is_a_difference_whose_interval_holds_zero(seed):
    rng = np.random.default_rng(seed)
    found = sweep_of({0.1: rng.normal(size=5), 1.0: rng.normal(size=5)})
    row, other = found.best.row, next(r for r in found.rows if r is not found.best.row)
    low = np.mean(other.losses - row.losses)
    half = 2.7764 * np.std(other.losses - row.losses, ddof=1) / 5**0.5
    assert (other in found.best.ties) == (low <= half)


def test_one_that_failed_is_never_best_and_never_as_good():
    found = sweep_of({0.1: [1.0, 1.1], 1.0: [0.1, math.inf]})
    assert dict(found.best.row.point) == {"lr": 0.1}
    assert found.best.ties == ()
    assert math.isnan(found.row(lr=1.0).spread)


def test_nothing_is_best_where_all_failed():
    assert sweep_of({0.1: [math.inf, math.inf]}).best is None


def test_one_seed_tells_nothing_apart():
    found = sweep_of({0.1: [1.0], 1.0: [5.0]})
    assert [str(row) for row in found.best.ties] == ["lr=1"]
    assert found.best.row.interval == (-math.inf, math.inf)


def test_only_whole_trainings_can_be_best():
    early = [Trial((("lr", 1.0),), seed, 10, 0.1) for seed in range(2)]
    whole = sweep_of({0.1: [1.0, 1.1]}).trials
    found = Sweep([LR], [*early, *whole])
    assert dict(found.best.row.point) == {"lr": 0.1}
    assert found.row(lr=1.0).steps == 10


def test_of_a_combination_the_longest_trials_count():
    trials = [Trial((("lr", 0.1),), s, n, 10 / n) for n in (10, 100) for s in range(2)]
    (row,) = Sweep([LR], trials).rows
    assert row.steps == 100
    assert row.losses.tolist() == [0.1, 0.1]


def test_an_unknown_combination_is_a_key_error():
    with pytest.raises(KeyError):
        sweep_of({0.1: [1.0]}).row(lr=7.0)


def test_all_of_it_is_json():
    found = sweep_of({0.1: [1.0, 1.1], 1.0: [0.1, math.inf]}).plain()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["best"] == {"lr": 0.1}
    assert [trial["loss"] for trial in again["trials"]] == [1.0, 1.1, 0.1, None]
