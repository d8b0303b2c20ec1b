"""Names and numbers: what a step's row is called, and what is made of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gainstage.records import Series, Site
from gainstage.sinks.names import Plan, histogram, scalar
from gainstage.views.updates import update_chart

RUN = Site(0, "run", "run", "", "", 0)
WEIGHT = Site(1, "fc.weight", "weight", "fc", "Linear", 0, (3, 4))
UPDATE = Site(2, "fc.weight", "update", "fc", "Linear", 0, (3, 4))
BIAS = Site(3, "fc.bias", "weight", "fc", "Linear", 0, (3,))
MOVED = Site(4, "fc.bias", "update", "fc", "Linear", 0, (3,))
SITES = [RUN, WEIGHT, UPDATE, BIAS, MOVED]
SERIES = [
    Series(0, 0, "loss"),
    Series(1, 1, "rms"),
    Series(2, 2, "rms"),
    Series(3, 3, "rms"),
    Series(4, 4, "rms"),
]


def everything(_):
    return True


def test_sites_and_quantities_make_a_name():
    assert scalar(RUN, "loss") == "run/loss"
    assert scalar(WEIGHT, "mean") == "mean/weight/fc.weight"
    assert histogram(UPDATE) == "histogram/update/fc.weight"


def test_vectors_have_a_level_but_no_ratio():
    names = Plan.of(SITES, SERIES, everything).names
    assert "level/weight/fc.bias" in names
    assert "update_ratio/fc.weight" in names
    assert "update_ratio/fc.bias" not in names


def test_only_the_columns_that_are_wanted_are_read():
    plan = Plan.of(SITES, SERIES, lambda name: name == "update_ratio/fc.weight")
    assert plan.columns.tolist() == [1, 2]
    assert plan.scalars(np.array([1.0, 0.1, 1e-4, 9.0, 9.0])) == {
        "update_ratio/fc.weight": pytest.approx(-3.0)
    }


def test_silence_is_minus_infinity_and_what_was_not_measured_is_left_out():
    plan = Plan.of(SITES, SERIES, everything)
    found = plan.scalars(np.array([np.nan, 0.0, np.nan, np.inf, 1.0]))
    assert found["level/weight/fc.weight"] == -math.inf
    assert found["rms/weight/fc.bias"] == math.inf
    assert "run/loss" not in found
    assert "update_ratio/fc.weight" not in found


@given(st.floats(1e-30, 1e30), st.floats(1e-30, 1e30))
def test_a_level_and_a_ratio_are_their_definitions(size, moved):
    found = Plan.of(SITES, SERIES, everything).scalars(np.array([0.0, size, moved, 1.0, 1.0]))
    size, moved = float(np.float32(size)), float(np.float32(moved))
    assert found["level/weight/fc.weight"] == pytest.approx(20 * math.log10(size), abs=1e-9)
    assert found["update_ratio/fc.weight"] == pytest.approx(math.log10(moved / size), abs=1e-9)


def test_a_ratio_is_that_of_the_chart_of_updates(stored):
    run, caught = stored
    chart = update_chart(run.recording)
    assert chart.paces
    for pace in chart.paces:
        ours = caught.series(f"update_ratio/{pace.name}")
        shown = [None if x is None else pytest.approx(x, rel=1e-3) for x in pace.ratio]
        assert [ours.get(step) for step in chart.steps] == shown
