"""Axes as they are written, and their combinations."""

from __future__ import annotations

import numpy as np
import pytest

from gainstage.errors import UsageError
from gainstage.sweeps.space import axes_of, axis, points, told, written


def test_a_range_has_two_values_a_decade():
    found = axis("lr", "1e-4..1").values
    assert len(found) == 9
    assert found[0] == 1e-4
    assert found[-1] == 1.0
    assert np.diff(np.log10(found)) == pytest.approx([0.5] * 8, abs=1e-4)


def test_a_range_may_say_how_many():
    assert axis("lr", "0.1..10:3").values == (0.1, 1.0, 10.0)


def test_lists_hold_numbers_and_names():
    assert axis("width", "32, 64").values == (32, 64)
    assert axis("lr", "0.1,1e-3").values == (0.1, 0.001)
    assert axis("init", "kaiming_normal,script").values == ("kaiming_normal", "script")
    assert axis("flag", [True, None]).values == (True, None)
    assert axis("lr", 0.5).values == (0.5,)


def test_an_axis_knows_whether_ratios_mean_something():
    assert axis("lr", "0.1,0.2").is_logarithmic
    assert not axis("lr", "0.1,script").is_logarithmic
    assert not axis("lr", "0,1").is_logarithmic
    assert not axis("lr", "1").is_logarithmic


def test_combinations_are_all_of_them():
    found = points(axes_of({"a": [1, 2], "b": ["x", "y"]}))
    assert [dict(point) for point in found] == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_what_is_written_is_split_at_the_first_sign():
    assert written(["lr=1e-4..1", "name=a=b"]) == {"lr": "1e-4..1", "name": "a=b"}


def test_values_are_told_in_three_digits():
    assert [told(v) for v in (0.0031622776, 64, "xavier", 1e-05)] == [
        "0.00316",
        "64",
        "xavier",
        "1e-05",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: axis("lr", ""), "The axis 'lr' has no values"),
        (lambda: axis("lr", []), "The axis 'lr' has no values"),
        (lambda: axis("lr", "0.1,0.1"), "has a value twice: 0.1, 0.1"),
        (lambda: axis("lr", "1..1e-4"), "lr=1..1e-4 is no range"),
        (lambda: axis("lr", "0..1"), "is no range"),
        (lambda: axis("lr", "-1..1"), "is no range"),
        (lambda: axis("lr", "a..b"), "is no range"),
        (lambda: axis("lr", "1..inf"), "is no range"),
        (lambda: axis("lr", "0.1..1:1"), "is no range"),
        (lambda: axis("seed", "1,2"), "'seed' is no axis"),
        (lambda: axes_of({}), "at least one axis"),
        (lambda: written(["lr"]), "An axis is written NAME=VALUES .* and not 'lr'"),
        (lambda: written(["lr=1", "lr=2"]), "'lr' is given twice"),
        (lambda: points(axes_of({"a": range(200), "b": range(200)})), "40,000 combinations"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
