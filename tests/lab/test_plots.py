"""Curves: each drawn and named."""

from gainstage.lab.plots import curves


def test_each_curve_is_drawn_and_named():
    series = {"one": ([1, 2], [3.0, 4.0]), "other": ([1], [2.0])}
    figure = curves(series, title="It", axes=("step", "loss"), log=True)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["one", "other"]
    assert axes.lines[0].get_ydata().tolist() == [3.0, 4.0]
    assert (axes.get_xlabel(), axes.get_yscale()) == ("step", "log")
