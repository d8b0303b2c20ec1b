"""Both kernel calls around a step against plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gainstage.sketch import pointers, steps
from gainstage.sketch.tensors import measure

SHAPES = [(40, 30), (40,), (3, 40), (1,), (7000,)]


class Buffers:
    def __init__(self, weights, grads):
        self.weights, self.grads = weights, grads
        sizes = [w.numel() for w in weights]
        places = np.cumsum([0, *sizes])
        self.table = np.zeros((len(weights), steps.COLUMNS), dtype=np.int64)
        for i, (w, g) in enumerate(zip(weights, grads, strict=True)):
            pointer = 0 if g is None else g.data_ptr()
            self.table[i] = w.data_ptr(), pointer, sizes[i], places[i], i
        room = int(places[-1])
        self.kept = np.zeros(room, np.uint32), np.zeros(room, np.uint32)
        self.directions = np.zeros((len(weights), 4, steps.ROOM), np.float32)
        self.out = np.full((len(weights), 3, steps.NUMBERS), np.nan)

    def before(self):
        steps.before_step(self.table, *self.kept, self.directions, self.out)

    def after(self):
        return steps.after_step(self.table, *self.kept, self.directions, self.out)

    def summary(self, line, what):
        return pointers.summary(self.out[line, what, : pointers.MOMENTS]).values()


@pytest.fixture
def buffers():
    torch.manual_seed(0)
    grads = [torch.randn(s) for s in SHAPES]
    grads[3] = None
    return Buffers([torch.randn(s) for s in SHAPES], grads)


def step(weights, grads, lr):
    for w, g in zip(weights, grads, strict=True):
        if g is not None:
            w.sub_(lr * g)


def test_weights_gradients_and_updates_are_those_of_torch(buffers):
    old = [w.clone() for w in buffers.weights]
    buffers.before()
    step(buffers.weights, buffers.grads, 0.01)
    predicted = buffers.after()
    wanted = 0.0
    for i, (w, before, g) in enumerate(zip(buffers.weights, old, buffers.grads, strict=True)):
        assert buffers.summary(i, 0) == pytest.approx(measure(before).summary.values())
        assert buffers.summary(i, 2) == pytest.approx(measure(w - before).summary.values())
        if g is not None:
            assert buffers.summary(i, 1) == pytest.approx(measure(g).summary.values())
            wanted += float(((w - before).double() * g.double()).sum())
    assert predicted == pytest.approx(wanted)


def test_without_a_gradient_there_are_no_numbers_of_one(buffers):
    buffers.before()
    assert np.isnan(buffers.out[3, 1]).all()


def test_directions_are_compared_with_the_step_before(buffers):
    buffers.before()
    step(buffers.weights, buffers.grads, 0.01)
    buffers.after()
    assert np.isnan(buffers.out[:, :, pointers.MOMENTS]).all()  # nothing before the first
    for g in buffers.grads:
        if g is not None:
            g.neg_()
    buffers.before()
    step(buffers.weights, buffers.grads, 0.02)
    buffers.after()
    cosines = buffers.out[:, 1:, pointers.MOMENTS]
    assert cosines[[0, 1, 2, 4]] == pytest.approx(-1.0, abs=1e-4)
    assert np.isnan(cosines[3]).all()


def test_lines_can_be_taken_in_any_choice(buffers):
    whole = buffers.table
    buffers.table = whole[[2, 0]]
    buffers.before()
    assert np.isnan(buffers.out[1, 0]).all()
    assert buffers.summary(2, 0) == pytest.approx(measure(buffers.weights[2]).summary.values())
