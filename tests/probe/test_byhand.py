"""Leaves that no optimiser owns: kept around a backward, known to be stepped by the script."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gainstage.probe.byhand import ByHand
from gainstage.probe.parameters import Parameters
from gainstage.probe.recorder import Recorder
from gainstage.probe.sink import MemorySink
from gainstage.probe.steppers import Steppers


def _watched(*owned):
    parameters, steppers = Parameters(Recorder(MemorySink())), Steppers()
    if owned:
        steppers.add(torch.optim.SGD(owned, lr=0.1))
    return ByHand(parameters, steppers)


def _backward(by_hand, *leaves):
    loss = sum((leaf * leaf).sum() for leaf in leaves)
    by_hand.leaves.discover([loss], thoroughly=True)
    loss.backward()
    by_hand.hold([])


def test_a_leaf_that_changes_was_stepped():
    w, by_hand = torch.ones(3, requires_grad=True), _watched()
    _backward(by_hand, w)
    held = by_hand.held()
    assert [leaf is w for leaf in held] == [True]
    assert not by_hand.were_stepped(held)
    with torch.no_grad():
        w -= 0.1
    assert by_hand.were_stepped(held)
    assert by_hand.are_stale(held)
    w.grad.zero_()
    assert not by_hand.are_stale(held)
    by_hand.over()
    assert by_hand.held() == []


def test_what_an_optimiser_owns_is_not_held():
    w = torch.ones(3, requires_grad=True)
    by_hand = _watched(w)
    _backward(by_hand, w)
    assert by_hand.held() == []


def test_beside_an_optimiser_a_bare_leaf_is_data_and_a_parameter_is_not():
    owned, bare = (torch.ones(3, requires_grad=True) for _ in range(2))
    free = nn.Parameter(torch.ones(3))
    by_hand = _watched(owned)
    _backward(by_hand, owned, bare, free)
    assert [leaf is free for leaf in by_hand.held()] == [True]


def test_a_layer_made_after_the_optimiser_is_told_of():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    facts, steppers = {}, Steppers()
    parameters = Parameters(Recorder(MemorySink()))
    by_hand = ByHand(parameters, steppers, facts)
    parameters.labels.add_tree(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    steppers.add(optimizer)

    def backward():
        loss = net(torch.ones(1, 3)).sum()
        by_hand.leaves.discover([loss], thoroughly=True)
        loss.backward()
        by_hand.hold([])

    backward()
    assert facts == {}
    optimizer.zero_grad()
    net[1] = nn.Linear(4, 5)
    backward()
    assert facts == {"replaced": ["1.weight"]}


def test_a_layer_without_predecessor_is_none():
    body, head = nn.Linear(3, 4), nn.Linear(4, 2)
    facts, steppers = {}, Steppers()
    parameters = Parameters(Recorder(MemorySink()))
    by_hand = ByHand(parameters, steppers, facts)
    net = nn.Sequential(body, head)
    parameters.labels.add_tree(net)
    steppers.add(torch.optim.SGD(head.parameters(), lr=0.1))
    loss = net(torch.ones(1, 3)).sum()
    by_hand.leaves.discover([loss], thoroughly=True)
    loss.backward()
    by_hand.hold([])
    assert facts == {}


def _large(n=2):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(60, generator=generator).requires_grad_() for _ in range(n)]


def _stepped(by_hand, weights, recorder, decay=0.5):
    loss = sum((weight**3).sum() for weight in weights)
    by_hand.leaves.discover([loss], thoroughly=True)
    loss.backward()
    by_hand.hold([])
    with torch.no_grad():
        for weight in weights:
            weight.sub_(0.01 * (weight.grad + decay * weight))
            weight.grad = None
    held = by_hand.held()
    assert by_hand.were_stepped(held)
    return by_hand.first_step(held, recorder)


def test_the_first_step_tells_rate_and_decay_and_no_later_one_does():
    recorder, by_hand, weights = Recorder(MemorySink()), _watched(), _large()
    facts = _stepped(by_hand, weights, recorder)
    assert facts == {
        "inferred": {
            "lr": pytest.approx(0.01, rel=1e-3),
            "weight_decay": pytest.approx(0.5, rel=1e-3),
            "decoupled": False,
        }
    }
    assert recorder._now.run == {"weight_decay": facts["inferred"]["weight_decay"]}
    assert _stepped(by_hand, weights, recorder, decay=0.25) == {}


def test_beside_an_optimiser_nothing_is_inferred():
    recorder, weights = Recorder(MemorySink()), [nn.Parameter(w.detach()) for w in _large(3)]
    facts = _stepped(_watched(weights[0]), weights, recorder)
    assert (facts, recorder._now.run) == ({}, {})
