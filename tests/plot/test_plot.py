"""Static figures: they hold what the views say, of any run, and touch nothing global."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex

import gainstage as gs
from gainstage.errors import MissingExtraError, UnknownNameError, UsageError
from gainstage.plot import paper
from gainstage.render import canvas
from gainstage.views import loss_chart

FIGURES = {
    "loss": gs.plot.loss,
    "log loss": lambda run: gs.plot.loss(run, log=True),
    "levels": gs.plot.levels,
    "levels of a step": lambda run: gs.plot.levels(run, step=1),
    "heatmap": gs.plot.heatmap,
    "updates": gs.plot.updates,
    "histograms": gs.plot.histograms,
    "compare": lambda run: gs.plot.compare(run, run),
}


@pytest.mark.filterwarnings("ignore:Glyph")  # the font has no Chinese
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("which", ["vanishing", "hostile", "handmade"])
def test_a_figure_of_any_run_can_be_saved(recordings, name, which):
    made = getattr(recordings, which)()
    run = made[0] if isinstance(made, tuple) else made
    if (name, which) == ("histograms", "handmade"):
        with pytest.raises(UnknownNameError, match=r"kind 'output' was kept. There are: none"):
            FIGURES[name](run)
        return
    target = io.BytesIO()
    FIGURES[name](run).savefig(target)
    assert target.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["loss", "levels", "updates", "compare"])
def test_an_empty_run_says_so_in_its_figure(recordings, name):
    figure = FIGURES[name](recordings.empty())
    figure.savefig(io.BytesIO())
    assert any("measured" in text.get_text() or "Neither" in text.get_text()
               for axes in figure.axes for text in axes.texts)  # fmt: skip


def test_the_first_and_the_last_weight_are_named(recordings):
    (axes,) = gs.plot.updates(recordings.vanishing()).axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    drawn = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in drawn] == names
    assert len(names) == 2
    assert names[0] != names[1]
    assert not paper.label("_fc.weight").startswith("_")  # legends leave such names out


def test_the_level_diagram_has_the_levels(recordings):
    forward, backward = gs.plot.levels(recordings.handmade()).axes
    points = np.concatenate([c.get_offsets() for c in forward.collections if len(c.get_offsets())])
    assert {(-10.0 * (i + 1), i) for i in range(4)} <= {tuple(map(float, p)) for p in points}
    assert [tick.get_text() for tick in forward.get_yticklabels()] == [
        "body.0", "body.1", "body.2", "body.3",
    ]  # fmt: skip
    assert backward.get_title(loc="left") == "Backward"


def test_a_level_that_is_far_from_its_reference_stands_out(recordings):
    forward, backward = gs.plot.levels(recordings.handmade()).axes
    found = {}
    for axes in (forward, backward):
        for marks in (c for c in axes.collections if len(c.get_offsets())):
            for point, colour in zip(marks.get_offsets(), marks.get_facecolors(), strict=False):
                found[axes, round(float(point[0]))] = to_hex(colour)
    red = {level for (axes, level), colour in found.items() if colour == canvas.FAULT}
    assert red == {-100}  # 60 dB below the -40 at which the gradient enters


def test_the_loss_has_its_points_and_what_chance_gives(vanishing):
    axes = gs.plot.loss(vanishing).axes[0]
    drawn = axes.lines[0].get_ydata()
    assert np.allclose(drawn, vanishing.run_values("loss"), rtol=1e-4)
    chance = loss_chart(vanishing).chance
    assert [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"] == [chance]


def test_an_unknown_map_lists_those_there_are(vanishing):
    with pytest.raises(UnknownNameError, match=r"no heat map 'outputs' of this run.*'output', "):
        gs.plot.heatmap(vanishing, "outputs")


def test_nothing_global_is_touched(recordings):
    gs.plot.loss(recordings.handmade())
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_without_matplotlib_there_is_one_sentence(monkeypatch, recordings):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "gainstage.render.figure", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[lab\]'"):
        gs.plot.loss(recordings.handmade())


def test_names_are_text_and_no_mathematics():
    assert paper.label("$x^2$\n\x1b") == r"\$x^2\$"


def test_the_name_of_a_run_is_told_how_to_become_one():
    with pytest.raises(UsageError, match=r"A figure is of a run, gs\.open\('latest'\), or of its"):
        gs.plot.loss("latest")
