"""Sweeps and range tests as pictures: what is drawn, not how it looks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gainstage.sweeps import Sweep, Trial
from gainstage.sweeps.figures import figure_range, figure_sweep
from gainstage.sweeps.ranges import judge
from gainstage.sweeps.space import axis

pytest.importorskip("matplotlib", reason="the extra `lab` is not installed")


def sweep_of(*axes, lost=()):
    trials = []
    for lr in axes[0].values:
        for init in axes[1].values if len(axes) > 1 else [None]:
            for seed in range(2):
                loss = math.inf if lr in lost else lr + 0.1 * seed
                point = (("lr", lr), ("init", init))[: len(axes)]
                curve = tuple((step, 1.0 + loss / (1 + step)) for step in range(5))
                trials.append(Trial(point, seed, 5, loss, curve))
    return Sweep(axes, trials, "f")


def test_two_axes_are_a_map_with_a_number_in_each_cell():
    found = sweep_of(axis("lr", "0.1,1.0,10.0"), axis("init", "a,b"), lost=[10.0])
    figure = figure_sweep(found)
    left, right = figure.axes
    texts = [text.get_text() for text in left.texts]
    assert texts == ["0.15", "1.05", "failed"] * 2
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["a", "b"]
    assert len(right.lines) == 4
    figure.canvas.draw()


def test_one_axis_is_a_line_with_its_interval():
    left, right = figure_sweep(sweep_of(axis("lr", "0.1,1.0,10.0"), lost=[10.0])).axes
    assert left.get_xscale() == "log"
    assert left.lines[0].get_xdata().tolist() == [0.1, 1.0]
    assert len(left.collections) == 1
    assert len(right.lines) == 2


def test_nothing_that_came_to_an_end_is_said():
    left, _ = figure_sweep(sweep_of(axis("lr", "0.1,1.0"), lost=[0.1, 1.0])).axes
    assert left.texts[0].get_text() == "no training came to an end"


def test_a_range_test_shows_its_band_or_that_there_is_none():
    rates = np.geomspace(1e-5, 10, 100)
    noise = 0.02 * np.random.default_rng(0).normal(size=(3, 100))
    flat = figure_range(judge(rates, 2.3 + noise))
    assert flat.axes[0].get_title(loc="left").endswith("no signal")
    course = np.where(rates < 0.01, 2.3, np.where(rates < 1, 1.0, 5.0))
    found = figure_range(judge(rates, course + noise))
    assert found.axes[0].get_title(loc="left") == "Learning-rate range test"
    assert len(found.axes[0].patches) == 1
