"""Which leaves a backward will reach, and what stands right before a loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gainstage.probe.graph import leaves, squashed_twice


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
