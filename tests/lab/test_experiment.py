"""The contract of every experiment, and what its rows say."""

import dataclasses
import math

import pytest

from gainstage.lab import EXPERIMENTS, Output, Row


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_an_experiment_says_what_it_shows_and_has_parameters(name):
    one = EXPERIMENTS[name]
    assert one.title.endswith(".")
    assert len(one.title) <= 90
    assert "Source:" in one.manual
    assert dataclasses.is_dataclass(one.options)
    assert one.options() == one.options()
    assert set(one.quick) <= {field.name for field in dataclasses.fields(one.options)}
    for field in dataclasses.fields(one.options):
        assert f"{field.name}: " in one.options.__doc__
    assert one.run.__module__ == f"gainstage.lab.experiments.{name.replace('-', '_')}"


def test_numbers_are_not_used_twice():
    numbers = [EXPERIMENTS[name].number for name in EXPERIMENTS]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("measured", "inside"),
    [(1.0, True), (0.9, True), (1.1, True), (1.2, False), (math.nan, False), (math.inf, False)],
)
def test_a_row_is_inside_or_not(measured, inside):
    assert Row("it", 1.0, measured, 0.9, 1.1, "R").inside is inside


def test_short_runs_are_judged_only_by_what_they_can_show(tmp_path):
    output = Output(tmp_path, quick=True)
    output.add("long", 1.0, 2.0, 0.1)
    output.add("always", 2.05, 2.0, 0.1, quick=True)
    output.add("range", 3.0, None, (0.0, 5.0))
    assert [row.asked for row in output.rows] == [False, True, False]
    assert [row.inside for row in output.rows] == [False, True, True]
    assert (output.rows[1].low, output.rows[1].high) == pytest.approx((1.9, 2.1))
