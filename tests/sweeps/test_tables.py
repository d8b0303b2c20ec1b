"""A sweep as text."""

from __future__ import annotations

import math

from gainstage.sweeps import Sweep, Trial
from gainstage.sweeps.space import axis
from gainstage.sweeps.tables import sweep_text

LR, INIT = axis("lr", "0.1,1.0"), axis("init", "kaiming_normal,xavier_uniform")
LOSSES = {
    (0.1, "kaiming_normal"): [0.5, 0.6, 0.55],
    (0.1, "xavier_uniform"): [0.55, 0.56, 0.555],
    (1.0, "kaiming_normal"): [0.9, 0.91, 0.905],
    (1.0, "xavier_uniform"): [math.inf, math.inf, math.inf],
}


def trials(losses, steps=100, told=""):
    return [
        Trial((("lr", lr), ("init", init)), seed, steps, loss, told=told)
        for (lr, init), row in losses.items()
        for seed, loss in enumerate(row)
    ]


def test_the_best_its_ties_and_what_failed_are_told():
    text = sweep_text(Sweep([LR, INIT], trials(LOSSES), "train.py"))
    lines = [line.split() for line in text.splitlines()]
    assert ["kaiming_normal", "0.55", "0.905"] in lines
    assert ["xavier_uniform", "0.555", "failed"] in lines
    assert ["0.1", "kaiming_normal", "0.55", "0.05", "100", "best"] in lines
    assert ["0.1", "xavier_uniform", "0.555", "0.005", "100", "as", "good"] in lines
    assert "best    lr=0.1, init=kaiming_normal: loss 0.55, 95 % interval " in text
    assert "The seeds do not tell it from: lr=0.1, init=xavier_uniform." in text


def test_what_was_ended_early_stands_in_brackets():
    short = {key: row for key, row in LOSSES.items() if key[0] == 1.0}
    long = {key: row for key, row in LOSSES.items() if key[0] == 0.1}
    text = sweep_text(Sweep([LR, INIT], [*trials(short, 10), *trials(long)], "train.py"))
    lines = [line.split() for line in text.splitlines()]
    assert ["kaiming_normal", "0.55", "(0.905)"] in lines
    assert ["xavier_uniform", "0.555", "(failed)"] in lines
    assert ["1", "kaiming_normal", "0.905", "0.005", "10", "ended", "early"] in lines


def test_a_script_that_ended_by_itself_has_the_steps_that_it_made():
    curve = tuple((step, 0.5) for step in range(0, 40, 3))
    rows = [Trial((("lr", lr),), 0, 100, lr, curve) for lr in (0.1, 1.0)]
    lines = [line.split() for line in sweep_text(Sweep([LR], rows, "train.py")).splitlines()]
    assert ["0.1", "0.1", "40", "of", "100", "best"] in lines


def test_one_axis_needs_no_map_and_one_seed_tells_little():
    rows = [Trial((("lr", lr),), 0, 0, lr) for lr in (0.1, 1.0)]
    text = sweep_text(Sweep([LR], rows, "f"))
    assert "loss by" not in text
    assert "One seed cannot tell it from the others: give more --seeds." in text


def test_nothing_is_best_where_all_failed():
    rows = trials({key: [math.inf] for key in LOSSES}, told="it ended\x1b[31m with exit code 1")
    text = sweep_text(Sweep([LR, INIT], rows, "train.py"))
    assert "No combination is best: every training failed" in text
    assert "(it ended[31m with exit code 1)" in text


def test_a_best_number_at_the_edge_of_what_was_tried_is_told():
    rate = axis("lr", "0.01,0.1,1.0")

    def text(best):
        rows = [Trial((("lr", lr),), 0, 0, abs(lr - best)) for lr in rate.values]
        return sweep_text(Sweep([rate], rows, "f"))

    assert "lr=0.01 is the least that was tried: look beyond it." in text(0.01)
    assert "lr=1 is the largest that was tried" in text(1.0)
    assert "look beyond" not in text(0.1)
    depths = axis("depth", [1, 2, 4])
    rows = [Trial((("depth", depth),), 0, 0, depth) for depth in depths.values]
    assert "look beyond" not in sweep_text(Sweep([depths], rows, "f"))  # there is no less
