"""Rectifiers that are written by hand."""

from __future__ import annotations

import gc

import torch

from gainstage.probe.rectifiers import Rectifiers


def test_only_the_signal_that_was_compared_is_rectified():
    x, other = (torch.randn(4, requires_grad=True) for _ in range(2))
    sign, found = x > 0, Rectifiers()
    found.compared((x, 0.0), sign)
    assert found.is_rectified(torch.mul, (x, sign))
    assert found.is_rectified(torch.mul, (sign, x))
    assert not found.is_rectified(torch.mul, (other, sign))
    assert not found.is_rectified(torch.where, (sign, other, 0.0))
    assert not found.is_rectified(torch.where, (sign, 0.0, x))
    assert not found.is_rectified(torch.where, (sign,))


def test_a_comparison_with_something_else_says_nothing():
    x = torch.randn(4, requires_grad=True)
    sign, found = x > 1, Rectifiers()
    found.compared((x, 1.0), sign)
    assert not found.is_rectified(torch.mul, (x, sign))


def test_a_maximum_is_one_only_with_zeros():
    x, found = torch.randn(4, requires_grad=True), Rectifiers()
    assert found.is_rectified(torch.maximum, (torch.zeros(4), x))
    assert not found.is_rectified(torch.maximum, (x, torch.ones(4)))
    assert not found.is_rectified(torch.max, (x, 0))  # along an axis


def test_it_keeps_nothing_alive_and_not_without_end():
    found = Rectifiers()
    for _ in range(600):
        x = torch.randn(2, requires_grad=True)
        found.compared((x, 0), x > 0)
    assert len(found._signs) <= 256
    del x
    gc.collect()
    assert all(signal() is None for _, signal in found._signs.values())
