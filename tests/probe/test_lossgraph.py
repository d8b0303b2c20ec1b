"""The way from a loss to the part it is made of: by the graph, and then by the numbers."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from gainstage.probe import lossparts
from gainstage.probe.lossgraph import Way, is_penalty, terms_of

Y = torch.arange(12.0).reshape(3, 4)
SQUARES = 4.0 * 12  # of a difference that is 2 everywhere


def way(finish):
    """The way of a loss that is made of a difference by `finish`, and its value."""
    z = (Y + 2).requires_grad_() * 1.0
    made = z - Y
    loss = finish(made)
    return Way.down_from(loss.grad_fn, [lossparts.difference((z, Y), made)]), float(loss.detach())


@pytest.mark.parametrize(
    ("finish", "plain"),
    [
        (lambda d: (d**2).mean(), SQUARES / 12),
        (lambda d: (d * d).sum(), SQUARES),
        (lambda d: d.square().sum((0, 1)), SQUARES),
        (lambda d: d.abs().mean(), 2.0),
        (lambda d: d.pow(2).sum(1).mean(), math.nan),
        (lambda d: d.pow(2).mean() / 3, math.nan),
        (lambda d: (d.pow(2) / 2).sum(), math.nan),
    ],
)
def test_the_value_that_the_graph_alone_tells(finish, plain):
    found, value = way(finish)
    assert found.plain_value() == pytest.approx(plain, nan_ok=True)
    reading = found.reading(value)
    assert reading.value == value
    assert reading.scale * found.total == pytest.approx(value)
    assert reading.target.tolist() == Y.tolist()


@pytest.mark.parametrize(
    "finish",
    [
        lambda d: (d**3).sum(),
        lambda d: (d ** torch.tensor(2.0)).sum(),
        lambda d: (d * d.flip(0)).sum(),
        lambda d: (d**2).mean().sqrt(),
        lambda d: (d**2).max(),
        lambda d: d.square()[0].mean(),
        lambda d: d.square().mean() + 1,
        lambda d: d.sum(),
        lambda d: d.exp().abs().sum(),
    ],
)
def test_other_ways_are_none(finish):
    assert way(finish)[0] is None


@pytest.mark.parametrize("value", [0.0, -4.0, 4.1, math.nan, math.inf])
def test_a_loss_of_another_value_is_not_what_it_seemed(value):
    found, _ = way(lambda d: (d**2).mean())
    assert found.reading(4.0).function is F.mse_loss
    assert found.reading(value) is None


def test_a_weight_for_all_is_told_from_weights_of_each():
    weights = torch.linspace(0.1, 1.0, 12).reshape(3, 4)
    for finish, known in (
        (lambda d: 0.37 * (d**2).mean(), True),
        (lambda d: (0.37 * d**2).mean(), False),
        (lambda d: (weights * d**2).mean(), False),
        (lambda d: (torch.ones(3, 4) * d**2).mean(), True),
    ):
        found, value = way(finish)
        assert (found.reading(value) is not None) is known


def test_the_terms_of_a_sum():
    w = torch.ones(2, requires_grad=True)
    a, b, c = w.sum(), w.mean(), w.abs().sum()
    assert set(terms_of((a + b + c).grad_fn)) == {a.grad_fn, b.grad_fn, c.grad_fn}
    assert terms_of(a.grad_fn) == [a.grad_fn]
    assert len(terms_of(sum(w.sum() for _ in range(50)).grad_fn)) < 50


def test_a_penalty_is_of_parameters_by_plain_operations():
    w, x = torch.ones(2, 2, requires_grad=True), torch.ones(2, 2)
    for plain in (w.pow(2).sum(), 0.1 * w.abs().mean(), w.norm(), (w**2).sum().sqrt() / 3):
        assert is_penalty(plain.grad_fn)
    for other in ((x @ w).pow(2).sum(), w.exp().sum(), (w - x).pow(2).sum(), w.sigmoid().mean()):
        assert not is_penalty(other.grad_fn)
