"""Both kernel calls around a step against plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gainstage.sketch import rows, sampling, steps
from gainstage.sketch.tensors import measure

SHAPES = [(40, 30), (40,), (3, 40), (1,), (7000,)]
LINES = 2
SAMPLE = LINES * sampling.LINE


class Buffers:
    def __init__(self, weights, grads, lines):
        self.weights, self.grads, self.plan = weights, grads, (lines, 5)
        sizes = [w.numel() for w in weights]
        places = np.cumsum([0, *(steps.room(n, lines) for n in sizes)])
        self.table = np.zeros((len(weights), steps.COLUMNS), dtype=np.int64)
        for i, (w, g) in enumerate(zip(weights, grads, strict=True)):
            pointer = 0 if g is None else g.data_ptr()
            self.table[i] = w.data_ptr(), pointer, sizes[i], places[i], i
        room = int(places[-1])
        self.kept = np.zeros(room, np.uint32), np.zeros(room, np.uint32)
        self.directions = np.zeros((len(weights), steps.DIRECTIONS, steps.ROOM), np.float32)
        self.out = np.full((steps.KINDS * len(weights), rows.WIDTH), np.nan)
        self.cosines = np.zeros((len(weights), 2))

    def before(self):
        steps.before_step(self.table, self.plan, self.kept, self.directions, self.out, self.cosines)

    def after(self):
        return steps.after_step(
            self.table, self.plan, self.kept, self.directions, self.out, self.cosines
        )

    def summary(self, line, what):
        return rows.summary(self.out[steps.KINDS * line + what])

    def sample(self, tensor):
        """What the kernels read of a tensor, as they say."""
        lines, turn = self.plan
        if not lines or tensor.numel() <= lines * sampling.LINE:
            return tensor
        out = np.empty(lines * sampling.LINE, np.float32)
        flat = tensor.contiguous()
        m = sampling.gather(flat.data_ptr(), flat.numel(), sampling.FLOAT32, lines, turn, out)
        return torch.from_numpy(out[:m])


@pytest.fixture(params=[0, LINES], ids=["exact", "sampled"])
def buffers(request):
    torch.manual_seed(0)
    grads = [torch.randn(s) for s in SHAPES]
    grads[3] = None
    return Buffers([torch.randn(s) for s in SHAPES], grads, request.param)


def step(weights, grads, lr):
    for w, g in zip(weights, grads, strict=True):
        if g is not None:
            w.sub_(lr * g)


def _same(found, tensor):
    wanted = measure(tensor).summary
    for key in ("count", "mean", "std", "min", "max", "zeros"):
        assert getattr(found, key) == pytest.approx(getattr(wanted, key), abs=1e-9), key


def test_weights_gradients_and_updates_are_those_of_torch(buffers):
    old = [w.clone() for w in buffers.weights]
    buffers.before()
    step(buffers.weights, buffers.grads, 0.01)
    predicted = buffers.after()
    wanted = 0.0
    for i, (w, before, g) in enumerate(zip(buffers.weights, old, buffers.grads, strict=True)):
        change = buffers.sample(w - before)
        _same(buffers.summary(i, 0), buffers.sample(before))
        _same(buffers.summary(i, 2), change)
        assert buffers.summary(i, 0).size == w.numel()
        if g is not None:
            _same(buffers.summary(i, 1), buffers.sample(g))
            product = (change.double() * buffers.sample(g).double()).sum()
            wanted += float(product) * w.numel() / change.numel()
    assert predicted == pytest.approx(wanted)


def test_a_sample_says_how_far_it_may_be_off(buffers):
    buffers.before()
    sampled = buffers.plan[0] > 0
    assert (buffers.summary(4, 0).rms_error > 0) is sampled
    assert buffers.summary(1, 0).rms_error == 0.0


def test_a_nan_in_a_sample_makes_the_whole_tensor_be_read():
    x = torch.randn(100_000)
    x[::50] = float("nan")
    buffers = Buffers([x], [x.clone()], LINES)
    buffers.before()
    for what in (0, 1):
        found = buffers.summary(0, what)
        assert (found.count, found.nan) == (100_000, 2_000)


def test_without_a_gradient_there_are_no_numbers_of_one(buffers):
    buffers.before()
    assert np.isnan(buffers.out[steps.KINDS * 3 + 1]).all()


def test_directions_are_compared_with_the_step_before(buffers):
    buffers.before()
    step(buffers.weights, buffers.grads, 0.01)
    buffers.after()
    assert np.isnan(buffers.cosines).all()  # nothing before the first
    for g in buffers.grads:
        if g is not None:
            g.neg_()
    buffers.before()
    step(buffers.weights, buffers.grads, 0.02)
    buffers.after()
    assert buffers.cosines[[0, 1, 2, 4]] == pytest.approx(-1.0, abs=1e-4)
    assert np.isnan(buffers.cosines[3]).all()


def test_lines_can_be_taken_in_any_choice(buffers):
    whole = buffers.table
    buffers.table = whole[[2, 0]]
    buffers.before()
    assert np.isnan(buffers.out[steps.KINDS]).all()
    _same(buffers.summary(2, 0), buffers.sample(buffers.weights[2]))
