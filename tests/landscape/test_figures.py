"""Pictures of surfaces and races: what is on them."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import nn

from gainstage.errors import MissingExtraError
from gainstage.landscape import (
    Surface,
    animate,
    figure_3d,
    figure_losses,
    figure_map,
    line,
    plane,
    race,
)
from gainstage.landscape.contours import levels

HOLED = Surface(
    "holed", lambda x, y: torch.log(x) + y**2, ((-1, 1), (-1, 1)), ((0.5, 0.0),), "nobody"
)


@pytest.fixture(scope="module")
def result():
    optimizers = {f"lr {lr}": lambda p, lr=lr: torch.optim.SGD(p, lr=lr) for lr in (0.1, 0.2)}
    return race("saddle", optimizers, [[1.0, 0.1], [1.0, -0.1]], 10)


def test_a_map_shows_every_trajectory_and_names_each_optimiser_once(result):
    axes = figure_map(result).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["lr 0.1", "lr 0.2"]
    paths = [line for line in axes.lines if line.get_gid() == "path"]
    assert len(paths) == 4
    np.testing.assert_allclose(paths[1].get_xydata(), result.trajectories[0, 1])
    assert (axes.get_xlabel(), axes.get_title()) == ("x", "saddle")


def test_what_is_not_finite_is_hatched_and_said():
    axes = figure_map(HOLED, size=21).axes[0]
    assert axes.patch.get_hatch() == "///"
    assert [text.get_text() for text in axes.texts] == ["hatched: not finite"]
    assert not figure_map("beale", size=21).axes[0].texts


def test_arrows_point_downhill():
    axes = figure_map("beale", size=21, arrows=5).axes[0]
    (quiver,) = [one for one in axes.collections if hasattr(one, "U")]
    length = np.hypot(quiver.U, quiver.V)
    np.testing.assert_allclose(length[length > 0.5], 1, rtol=1e-5)


def test_in_three_dimensions_a_path_lies_on_the_surface(result):
    axes = figure_3d(result, size=21).axes[0]
    x, y, z = axes.lines[0].get_data_3d()
    np.testing.assert_allclose(z, x**2 - y**2 + y**4 / 2, rtol=1e-5)


def test_an_animation_is_a_file_of_frames(result, tmp_path):
    from PIL import Image

    with Image.open(animate(result, tmp_path / "race.gif", every=5)) as film:
        assert film.n_frames == 2


@pytest.mark.parametrize(
    "values",
    [[0.0, 1.0, 2.0], [5.0, 5.0], [np.nan, np.inf], [0.0] * 1000 + [1e9], [1e-30, 2e-30, 1.0]],
)
def test_levels_rise_and_span_the_finite_values(values):
    values = np.array(values, dtype=float)
    heights = levels(values)
    assert len(heights) >= 2
    assert (np.diff(heights) > 0).all()
    finite = values[np.isfinite(values)]
    if finite.size:
        assert (heights[0], heights[-1]) in {
            (finite.min(), finite.max()),
            (finite.min(), finite.min() + 1),
        }


def test_a_picture_can_be_kept(result, tmp_path):
    figure_map(result, size=21).savefig(tmp_path / "map.png")
    assert imread(tmp_path / "map.png").std() > 0.05


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "gainstage.render.figure", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[lab\]'"):
        figure_map("beale", size=5)


def test_losses_have_a_panel_each_and_say_what_must_be_said():
    model = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    data = torch.arange(4.0)[:, None], torch.zeros(4, 1)
    losses = {"mse": nn.functional.mse_loss, "l1": nn.functional.l1_loss}
    points = [dict(model.named_parameters())] * 2
    found = plane(model, data, losses, size=3, trajectory=points)
    figure = figure_losses(found)
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["mse", "l1"]
    assert figure.get_supxlabel() == "BatchNorm: statistics of the batch"
    partly = figure_losses(replace(found, rows=2))
    assert partly.get_supxlabel().endswith("; interrupted: 2 of 3 rows")


def test_a_line_is_drawn_as_a_curve():
    model, data = nn.Linear(1, 1), (torch.ones(2, 1), torch.zeros(2, 1))
    direction = {"bias": torch.ones(1)}
    found = line(model, data, nn.functional.mse_loss, direction, size=5)
    (curve,) = figure_losses(found).axes[0].lines
    np.testing.assert_allclose(curve.get_ydata(), found.values[0, 0])


def test_what_is_nothing_beside_the_range_reads_zero():
    figure = figure_map("steep-optima", size=61)
    figure.canvas.draw()
    told = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert told[-1] == "0"
    assert all("e-" not in text for text in told)
