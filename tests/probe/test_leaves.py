"""Leaves of a training: found through the graph, named, and never kept alive."""

from __future__ import annotations

import gc

import torch
from torch import nn

from gainstage.probe.labels import Labels
from gainstage.probe.leaves import Leaves


def test_leaves_are_found_behind_a_loss_and_named():
    labels = Labels()
    leaves = Leaves(labels)
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    leaves.discover([(a * b).sum()], thoroughly=True)
    assert sorted(labels.of(leaf).name for leaf in leaves.living()) == ["a", "b"]


def test_a_leaf_that_is_gone_is_forgotten_and_its_successor_found():
    leaves = Leaves(Labels())

    def train():
        w = torch.ones(2, requires_grad=True)
        leaves.discover([w.sum()], thoroughly=True)
        assert len(leaves.living()) == 1

    train()
    gc.collect()
    assert leaves.living() == []
    w = torch.ones(2, requires_grad=True)
    leaves.discover([w.sum()], thoroughly=False)
    assert [leaf is w for leaf in leaves.living()] == [True]


def test_of_two_tensors_of_one_name_the_newer_is_the_latest():
    leaves = Leaves(Labels())
    w = torch.ones(2, requires_grad=True)
    leaves.discover([w.sum()], thoroughly=True)
    old, w = [w], torch.zeros(2, requires_grad=True)
    leaves.discover([w.sum()], thoroughly=True)
    assert any(leaf is old[0] for leaf in leaves.living())
    assert [leaf is w for leaf in leaves.latest()] == [True]


def test_inputs_that_go_are_not_missed_beside_an_optimizer():
    leaves = Leaves(Labels())
    weight = nn.Parameter(torch.ones(2))
    for owned in (True, False):
        x = torch.ones(2, requires_grad=True)
        leaves.discover([(weight * x).sum()], thoroughly=True, owned=owned)
        del x
        gc.collect()
        assert leaves.is_complete() is owned
    leaves.discover([weight.sum()], thoroughly=True, owned=True)
    del weight
    gc.collect()
    assert not leaves.is_complete()
