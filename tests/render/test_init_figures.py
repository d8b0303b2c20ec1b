"""Figures of predictions and audits: they are drawn, and say what is missing if they cannot be."""

import sys

import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import MissingExtraError


def net():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def test_a_prediction_is_drawn(tmp_path):
    gs.predict(net(), torch.randn(4, 8)).draw(tmp_path / "levels.png", "levels")
    assert (tmp_path / "levels.png").read_bytes().startswith(b"\x89PNG")


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
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[lab\]'"):
        gs.init.audit(net()).draw(tmp_path / "audit.png")
