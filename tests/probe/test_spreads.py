"""Units that are alike, outputs that do not depend on the sample, statistics that disagree."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gainstage.probe.spreads import (
    has_modes,
    keeps_statistics,
    running_gap,
    sample_spread,
    unit_spread,
)


@settings(deadline=None)
@given(st.integers(2, 80), st.integers(2, 300), st.floats(1e-3, 1e3), st.booleans())
def test_units_that_are_alike_have_no_spread_whichever_axis_numbers_them(units, n, scale, by_row):
    one = torch.linspace(-1, 1, n) * scale
    weight = one.expand(units, n) if by_row else one[:, None].expand(n, units)
    assert unit_spread(weight) == pytest.approx(0.0, abs=1e-12)


def test_random_units_differ_by_about_their_size():
    torch.manual_seed(0)
    assert unit_spread(torch.randn(32, 64)) == pytest.approx(1.0, rel=0.1)
    assert unit_spread(torch.randn(16, 3, 5, 5)) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_of_one_unit_or_of_zeros_nothing_is_said(shape):
    assert math.isnan(unit_spread(torch.zeros(shape)))


def test_an_output_that_is_the_same_for_all_samples():
    row = torch.randn(5)
    assert sample_spread(row.expand(8, 5)) == pytest.approx(0.0, abs=1e-7)
    assert sample_spread(torch.randn(500, 5)) == pytest.approx(1.0, rel=0.1)
    assert math.isnan(sample_spread(row[None]))


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_the_gap_is_what_evaluation_would_change(momentum):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, momentum=momentum, affine=False)
    x = 3 + 2 * torch.randn(16, 4, 5, 5)
    trained = norm(x)
    found = running_gap(norm, x)
    difference = (norm.eval()(x) - trained).square().mean().sqrt()
    assert found == pytest.approx(float(difference), rel=0.05, abs=0.02)


def test_what_has_modes_and_what_keeps_statistics():
    modes = [nn.BatchNorm1d(2), nn.Dropout(0.5), nn.MultiheadAttention(4, 2, dropout=0.1)]
    none = [nn.Linear(2, 2), nn.Dropout(0.0), nn.MultiheadAttention(4, 2), nn.LayerNorm(3), None]
    assert all(map(has_modes, modes))
    assert not any(map(has_modes, none))
    kept = [nn.BatchNorm1d(2), nn.BatchNorm2d(2, track_running_stats=False), nn.Dropout()]
    assert [keeps_statistics(module) for module in kept] == [True, False, False]


def test_a_symmetric_network_stays_symmetric_and_a_random_one_is_none(watching, mlp, step):
    spreads = {}
    for start in ("random", "constant"):
        if start == "constant":
            for parameter in mlp.parameters():
                nn.init.constant_(parameter, 0.1)
        optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
        with watching(mlp, optimizer) as seen:
            for _ in range(3):
                step(mlp, optimizer)
        spreads[start] = [
            seen.values("0.weight", kind, "unit_spread") for kind in ("weight", "grad")
        ]
    assert all(value > 0.3 for values in spreads["random"] for value in values)
    assert all(value < 1e-6 for values in spreads["constant"] for value in values)


def test_a_model_in_evaluation_mode_trains_in_it(watching):
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def train():
        optimizer.zero_grad()
        net(torch.randn(6, 4)).square().mean().backward()
        optimizer.step()

    with watching(net, optimizer) as seen:
        train()
        net[1].eval()  # frozen statistics, on purpose: the model as a whole trains
        train()
        net.eval()
        train()
        with torch.no_grad():
            net(torch.randn(6, 4))
        net.train()
        train()
    assert seen.run("eval_mode") == [0.0, 0.0, 1.0, 0.0]
    gap = seen.values("1", "output", "running_gap")
    assert [math.isnan(value) for value in gap] == [False, True, True, False]
    assert all(value > 0 for value in seen.values("3", "output", "sample_spread"))
