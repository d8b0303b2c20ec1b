"""Figures of predictions and audits: they are drawn, and say what is missing if they cannot be."""

import math
import sys

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import nn

import gainstage as gs
from gainstage.errors import MissingExtraError
from gainstage.render.canvas import FAULT, FORWARD


def net():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def test_a_prediction_is_drawn(tmp_path):
    gs.predict(net(), torch.randn(4, 8)).draw(tmp_path / "levels.png", "levels")
    assert (tmp_path / "levels.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    found = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: found.append(figure))
    return found


def test_the_prediction_is_a_line_and_the_measurement_dots(drawn):
    levels = gs.predict(net(), torch.randn(64, 8))
    levels.draw("levels.png")
    for axes, kind in zip(drawn[0].axes, ("rms", "grad"), strict=True):
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        for label, name in (("measured", kind), ("predicted", f"predicted_{kind}")):
            expected = [20 * math.log10(getattr(stage, name)) for stage in levels.stages]
            assert list(lines[label]) == pytest.approx(expected)


def test_what_fits_no_scheme_stands_out(drawn):
    model = net()
    nn.init.normal_(model[2].weight, std=9.0)
    gs.init.audit(model).draw("audit.png")
    told = {text.get_text(): to_hex(text.get_color()) for text in drawn[0].axes[0].texts}
    assert told == {"torch_default": FORWARD, "no scheme": FAULT}
    lines = drawn[0].axes[0].lines
    marks = [to_hex(line.get_color()) for line in lines if line.get_marker() == "o"]
    assert marks == [FORWARD, FAULT]


def test_an_audit_is_drawn_with_what_fits_no_scheme(tmp_path):
    model = net()
    nn.init.normal_(model[2].weight, std=9.0)
    nn.init.zeros_(model[0].weight)
    gs.init.audit(model).draw(tmp_path / "audit.svg")
    drawn = (tmp_path / "audit.svg").read_text()
    assert "no scheme" in drawn
    assert "0.weight" not in drawn  # zero has no place on a logarithmic axis


def test_silent_stages_leave_a_gap(tmp_path):
    model = net()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    gs.predict(model, torch.randn(4, 8)).draw(tmp_path / "silent.png")
    assert (tmp_path / "silent.png").exists()


def test_without_matplotlib_the_command_that_helps_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "gainstage.render.figure", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[lab\]'"):
        gs.init.audit(net()).draw(tmp_path / "audit.png")
