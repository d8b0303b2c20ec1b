"""Optimisers: what they own, and how long their step is waited for."""

from __future__ import annotations

import math

import pytest
import torch

from gainstage.probe.labels import Labels
from gainstage.probe.leaves import Leaves
from gainstage.probe.recorder import Recorder
from gainstage.probe.sink import MemorySink
from gainstage.probe.steppers import ACCUMULATION, PATIENCE, Steppers, record_rates


@pytest.fixture
def w():
    return torch.ones(2, requires_grad=True)


@pytest.fixture
def leaves(w):
    found = Leaves(Labels())
    found.discover([w.sum()], thoroughly=True)
    return found


def test_an_optimizer_is_known_once_with_what_it_owns(w):
    steppers, optimizer = Steppers(), torch.optim.SGD([w], lr=0.1)
    assert [steppers.add(optimizer), steppers.add(optimizer)] == [True, False]
    assert (steppers.names, steppers.owned()) == (["SGD"], {id(w)})
    more = torch.ones(1, requires_grad=True)
    optimizer.add_param_group({"params": [more]})
    assert steppers.owned() == {id(w), id(more)}


def test_without_an_optimizer_each_backward_is_a_step(leaves):
    assert Steppers().waited(leaves, off=False) == (True, False)


def test_an_optimizer_that_never_steps_is_waited_for_some_time(w, leaves):
    steppers = Steppers()
    steppers.add(torch.optim.SGD([w], lr=0.1))
    answers = [steppers.waited(leaves, off=False) for _ in range(PATIENCE + 3)]
    assert answers == [(False, False)] * PATIENCE + [(True, True), (True, False), (True, False)]
    assert steppers.owned() == set()
    steppers.stepped()
    assert steppers.waited(leaves, off=False) == (False, False)
    assert steppers.owned() == {id(w)}


def test_gradients_that_pile_up_are_given_longer(w, leaves):
    steppers = Steppers()
    steppers.add(torch.optim.SGD([w], lr=0.1))
    w.grad = torch.ones(2)
    answers = [steppers.waited(leaves, off=False)[0] for _ in range(ACCUMULATION + 1)]
    assert answers.index(True) == ACCUMULATION - 1


def test_an_optimizer_whose_steps_cannot_be_seen_is_not_waited_for(w, leaves):
    steppers = Steppers()
    steppers.add(torch.optim.SGD([w], lr=0.1))
    assert steppers.waited(leaves, off=True) == (True, False)


def _recorded(optimizer):
    recorder = Recorder(MemorySink())
    record_rates(optimizer, recorder)
    recorder.commit(0.0)
    found = recorder.sink.recording()
    return {key: found.run_values(key).tolist() for key in ("lr", "weight_decay")}


@pytest.mark.parametrize("key", ["lr", "weight_decay"])
def test_a_rate_or_a_decay_that_is_no_number_is_not_known(w, key):
    known = {"lr": 0.25, "weight_decay": 0.5}
    found = _recorded(Still([w], {**known, key: None}))
    assert math.isnan(*found.pop(key))
    assert found == {other: [value] for other, value in known.items() if other != key}


def test_a_decay_that_is_no_number_does_not_hide_another(w):
    groups = [{"params": [w], "weight_decay": None}, {"params": [], "weight_decay": 0.5}]
    found = _recorded(Still(groups, {"lr": torch.tensor(0.25)}))
    assert found == {"lr": [0.25], "weight_decay": [0.5]}


class Still(torch.optim.Optimizer):
    """Changes nothing, and takes any arguments (Adafactor's rate may be None)."""

    def step(self, closure=None):
        pass
