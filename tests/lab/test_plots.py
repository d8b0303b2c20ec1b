"""Curves, densities and maps: each drawn and named."""

import pytest
import torch

from gainstage.lab.plots import curves, distributions, map_of


def test_each_curve_is_drawn_and_named():
    series = {"one": ([1, 2], [3.0, 4.0]), "other": ([1], [2.0])}
    figure = curves(series, title="It", axes=("step", "loss"), log=True)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["one", "other"]
    assert axes.lines[0].get_ydata().tolist() == [3.0, 4.0]
    assert (axes.get_xlabel(), axes.get_yscale()) == ("step", "log")


def test_distributions_have_a_panel_a_layer_and_a_line_for_a_single_value():
    spread, single = torch.randn(500, generator=torch.Generator().manual_seed(0)), torch.ones(9)
    figure = distributions({"w": [spread, single]}, ["a", "b"], title="It")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0].startswith("a: ")
    assert float(titles[0].split()[1]) == pytest.approx(float(spread.var()), rel=0.01)
    assert titles[1] == "b: 0"
    assert figure.axes[1].lines[0].get_xdata() == [1.0, 1.0]


def test_a_map_shows_the_matrix():
    figure = map_of(torch.eye(3), "It", ("unit", "example"))
    (axes,) = figure.axes
    assert axes.images[0].get_array().tolist() == torch.eye(3).tolist()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("unit", "example")
