# ruff: noqa: PLW0108 - a loss is made in the test, where its warning is let pass
"""Which leaves a backward will reach, and what stands right before a loss."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from gainstage.probe.graph import broadcast, leaves, misfits, shown, squashed_twice, value_of


def _is(found, *expected):
    return [id(t) for t in found] == [id(t) for t in expected]


def test_leaves_are_found_once_each_through_any_graph():
    a, b, c = (torch.ones(2, requires_grad=True) for _ in range(3))
    h = a * b
    found = leaves([(h * h + a * c).sum()])
    assert {id(t) for t in found} == {id(a), id(b), id(c)}
    assert len(found) == 3


def test_a_chain_is_told_in_order_of_computation():
    first, second = (torch.ones(2, 2, requires_grad=True) for _ in range(2))
    assert _is(leaves([((torch.ones(2, 2) @ first) @ second).sum()]), first, second)


def test_roots_may_be_leaves_or_constants():
    leaf, constant = torch.ones((), requires_grad=True), torch.ones(())
    assert _is(leaves([leaf, constant]), leaf)
    assert leaves([]) == []


def test_detached_parts_are_not_reached():
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    assert _is(leaves([(a.detach() * b).sum()]), b)


def test_a_graph_beyond_the_limit_is_walked_in_part(monkeypatch):
    monkeypatch.setattr("gainstage.probe.graph.MAX_NODES", 50)
    w = torch.ones(1, requires_grad=True)
    y = w
    for _ in range(200):
        y = y + 1
    assert leaves([y]) == []


def test_a_long_chain_does_not_recurse():
    w = torch.ones(1, requires_grad=True)
    y = w
    for _ in range(20_000):
        y = y + 1
    assert _is(leaves([y]), w)


SCORES = torch.arange(12.0).reshape(4, 3).requires_grad_()
LABELS = torch.tensor([0, 1, 2, 0])
HALF = torch.tensor([0.0, 1.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda: F.cross_entropy(SCORES, LABELS), {}),
        (lambda: F.cross_entropy(SCORES.softmax(1), LABELS), ("cross_entropy", "softmax")),
        (lambda: F.cross_entropy(SCORES.sigmoid(), LABELS), ("cross_entropy", "sigmoid")),
        (
            lambda: F.cross_entropy(SCORES.softmax(1)[None].squeeze(0), LABELS) + SCORES.mean(),
            ("cross_entropy", "softmax"),
        ),
        (lambda: F.nll_loss(SCORES.log_softmax(1), LABELS), {}),
        (lambda: F.nll_loss(SCORES.softmax(1).log(), LABELS), {}),
        (lambda: F.nll_loss(SCORES.softmax(1), LABELS), ("nll_loss", "softmax")),
        (lambda: F.binary_cross_entropy(SCORES[:, 0].sigmoid(), HALF), {}),
        (lambda: F.binary_cross_entropy_with_logits(SCORES[:, 0], HALF), {}),
        (
            lambda: F.binary_cross_entropy_with_logits(SCORES[:, 0].sigmoid(), HALF),
            ("binary_cross_entropy_with_logits", "sigmoid"),
        ),
        (lambda: F.mse_loss(SCORES.softmax(1), torch.zeros(4, 3)), {}),
    ],
)
def test_a_loss_of_raw_scores_that_is_given_probabilities(loss, found):
    assert squashed_twice([loss()]) == (dict(zip(("loss", "input"), found, strict=False)))


def _huber(d):
    return torch.where(d.abs() < 1, 0.5 * d * d, d.abs() - 0.5)


COLUMN = torch.ones(8, 3) @ torch.ones(3, 1, requires_grad=True)
ROW, SHARED = torch.arange(8.0), torch.zeros(8, requires_grad=True)


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda: F.mse_loss(COLUMN, ROW), ("mse_loss", "8 x 1", "8")),
        (lambda: F.l1_loss(COLUMN, ROW), ("a difference", "8 x 1", "8")),
        (lambda: F.smooth_l1_loss(COLUMN, ROW), ("smooth_l1_loss", "8 x 1", "8")),
        (lambda: F.huber_loss(COLUMN, ROW), ("huber_loss", "8 x 1", "8")),
        (lambda: ((COLUMN - ROW) ** 2).mean(), ("a difference", "8 x 1", "8")),
        (lambda: 0.5 * (ROW - COLUMN).square().sum() / 8, ("a difference", "8 x 1", "8")),
        (lambda: (ROW[:, None] - COLUMN[:, 0]).abs().mean(), ("a difference", "8", "8 x 1")),
        (lambda: _huber(COLUMN - ROW).mean(), ("a difference", "8 x 1", "8")),
        (lambda: (COLUMN - ROW).clamp(-1, 1).square().mean(), ("a difference", "8 x 1", "8")),
        (lambda: F.mse_loss(COLUMN[:, 0], ROW), ()),
        (lambda: F.mse_loss(COLUMN, ROW[:, None]), ()),
        (lambda: ((COLUMN - 3.0) ** 2).mean(), ()),
        (lambda: ((COLUMN - COLUMN.T) ** 2).mean(), ()),  # all pairs, on purpose
        (lambda: ((SHARED - torch.ones(8, 8)) ** 2).mean(), ()),  # one parameter for all samples
        (lambda: ((COLUMN - torch.arange(5.0)) ** 2).mean(), ()),  # a grid of its own
        (lambda: (COLUMN - ROW).exp().sigmoid().log().mean(), ()),  # no distance
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_column_that_meets_a_row(loss, found):
    wanted = dict(zip(("loss", "input", "target"), found, strict=False))
    assert broadcast([loss()]) == wanted
    assert misfits([loss()]) == ({"broadcast": wanted} if wanted else {})


def test_a_backward_is_worth_its_weighted_sum():
    a, b = (torch.tensor(x, requires_grad=True) for x in (0.35, 0.46))
    assert value_of([a, b]) == pytest.approx(0.81)
    assert value_of([a, b], [torch.tensor(1.0), torch.tensor(100.0)]) == pytest.approx(46.35)
    assert math.isnan(value_of([torch.tensor(1j, requires_grad=True)]))


def test_constants_that_an_unrolled_simulation_uses_are_counted():
    theta, x = torch.tensor([0.5, 2.0], requires_grad=True), torch.ones(4)
    for _ in range(10):
        x = theta[0] * x + 0.1
    assert shown([x.sum()]) == {"parameter_uses": 10}
    w, b = torch.ones(4, 4, requires_grad=True), torch.zeros(4, requires_grad=True)
    assert shown([(x @ w @ w @ w + b).sum().square()])["parameter_uses"] == 10
    assert shown([(torch.ones(4) @ w @ w @ w + b).sum().square()]) == {}  # a matrix is a layer's
