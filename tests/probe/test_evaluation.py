"""Data of evaluations against those of the training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gainstage.probe.evaluation import MOST, Evaluation
from gainstage.sketch import rows
from gainstage.sketch.reader import Reader


def _learnt(*data):
    evaluation, reader = Evaluation(Reader()), Reader()
    for tensor in data:
        row = rows.new(1)[0]
        reader.read(tensor, row)
        evaluation.learn("0", row)
    return evaluation


def test_the_shift_is_that_of_the_mean_and_of_the_logarithm_of_the_deviation():
    evaluation = _learnt(torch.tensor([5.0, 9.0]), torch.tensor([-1.0, 1.0]))
    evaluation.compare("0", torch.tensor([1.5, 2.5]))
    assert evaluation.facts["evaluation"]["shift"] == pytest.approx(2 + math.log(2), abs=1e-4)


def test_of_a_stage_that_was_not_trained_and_of_constant_data_nothing_is_said():
    evaluation = _learnt(torch.ones(4))
    evaluation.compare("0", torch.randn(4))
    assert evaluation.facts == {}
    evaluation = _learnt(torch.randn(4))
    for tensor in (torch.ones(4), torch.full((3,), math.nan), torch.zeros(0)):
        evaluation.compare("0", tensor)
    evaluation.compare("1", torch.randn(4))
    assert evaluation.facts == {}


def test_the_median_counts_and_there_is_an_end_to_looking():
    evaluation = _learnt(torch.tensor([-1.0, 1.0]))
    for i in range(MOST + 10):
        evaluation.compare("0", torch.tensor([-1.0, 1.0]) * (100.0 if i == 3 else 1.0))
    assert evaluation.facts == {"evaluation": {"site": "0", "shift": 0.0, "batches": MOST}}


@pytest.mark.parametrize("scale", [1.0, 1 / 50])
def test_a_training_that_is_evaluated_on_other_scales(watching, step, scale):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        for _ in range(3):
            step(net, optimizer)
            net.eval()
            with torch.no_grad():
                net(scale * torch.randn(64, 4))
            net.train()
    found = seen.probe.ending()["facts"]["evaluation"]
    assert (found["site"], found["batches"]) == ("0", 3)
    assert found["shift"] == pytest.approx(abs(math.log(scale)), abs=0.5)
    assert seen.frames == 3
