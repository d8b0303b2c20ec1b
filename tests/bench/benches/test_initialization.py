"""The benchmark of initialisation, on narrow networks and few seeds: it runs and judges."""

import math
import re
import sys

import numpy as np
import pytest
import torch

from gainstage.bench import Settings
from gainstage.bench.benches import initialization
from gainstage.bench.nets import deep
from gainstage.errors import MissingExtraError


def small(_):
    nets = deep(16)
    return {name: nets[name] for name in ("50-layer ReLU MLP", "24-block transformer")}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(initialization, "SEEDS", 2)
    monkeypatch.setattr(initialization, "deep", small)


@pytest.mark.usefixtures("quick")
def test_levels_calibration_and_layers_are_shown_and_judged():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    outcome = initialization.initialization(Settings())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    levels, calibrated, layers, promises = outcome.grids
    assert [row[1] for row in levels.rows] == [
        "kaiming_normal", "orthogonal", "torch", "kaiming_normal", "torch",
    ]  # fmt: skip
    assert all(re.fullmatch(r"[+-][\d.]+ \.\. [+-][\d.]+", row[2]) for row in levels.rows)
    assert {row[1:3] for row in calibrated.rows} == {("512", "gainstage")}
    assert all(float(row[1]) < 0.5 for row in layers.rows)
    assert len(promises.rows) == len(outcome.lines)
    reached = [line.reached for line in outcome.lines if line.name.endswith("calibrated")]
    assert reached == [True, True]


@pytest.mark.usefixtures("quick")
def test_the_peer_is_wanted_and_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "lsuv", None)
    with pytest.raises(
        MissingExtraError, match=r"The peer is lsuv: run `pip install 'gainstage\[bench\]'`"
    ):
        initialization.initialization(Settings(peers=True))


def test_powers_are_averaged_and_not_decibels():
    levels = np.array([[0.0, -10.0], [20.0, -10.0]])
    assert initialization._pooled(levels) == pytest.approx([10 * math.log10(50.5), -10.0])
