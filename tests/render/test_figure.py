"""Figures in notebooks."""

import pickle

from gainstage.render.figure import Figure


def test_a_figure_shows_itself_and_can_be_sent():
    figure = Figure(figsize=(1, 1))
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert isinstance(pickle.loads(pickle.dumps(figure)), Figure)  # noqa: S301 - ours
