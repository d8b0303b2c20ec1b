"""Calls that wait for their gradients: how long, and how many."""

from __future__ import annotations

import pytest
import torch

from gainstage.probe.guard import Guard
from gainstage.probe.held import Held
from gainstage.probe.places import MAX_CALLS, Place
from gainstage.sketch.pool import Pool
from gainstage.sketch.reader import Reader


class Listener:
    in_backward = True
    guard = Guard(lambda *_: None)

    def measure_gradient(self, entry, grad):
        pass


@pytest.fixture
def held():
    return Held(Pool(Reader()))


def _call(held, place, root=1, *, needs_grad=True):
    entry = place.enter(Listener(), held._pool.take(torch.ones(2)), root)
    entry.needs_grad = needs_grad
    held.entries.append(entry)
    return entry


def test_what_a_backward_went_through_takes_along_what_needs_no_gradient(held):
    place = Place(lambda: "a", "Linear")
    graded, frozen, other = (
        _call(held, place, root, needs_grad=needs)
        for root, needs in ((1, True), (1, False), (2, False))
    )
    graded.graded = True
    assert held.passed() == [graded, frozen]
    assert held.never_passed() == [graded, frozen, other]


def test_a_call_waits_for_the_backwards_of_the_next_step_and_no_longer(held):
    place = Place(lambda: "a", "Linear")
    waiting, done = _call(held, place), _call(held, place)
    held.over([done], 5)
    assert (held.entries, held.never_passed()) == ([waiting], [])
    held.over([], 6)
    assert held.entries == [waiting]
    held.over([], 7)
    assert held.entries == []
    assert [_call(held, place) for _ in range(2)] == [waiting, done]  # used again, in their order


def test_where_there_are_too_many_those_without_a_site_of_their_own_go(held):
    held.most = 4 * MAX_CALLS
    place = Place(lambda: "a", "Linear")
    calls = [_call(held, place) for _ in range(held.most)]
    held.drop()
    assert held.entries == calls[:MAX_CALLS] + calls[3 * MAX_CALLS :]
    assert held.missing(held.entries) == {}


def test_where_all_have_a_site_the_oldest_go_and_are_counted_for_their_pass(held):
    held.most = 8
    place = Place(lambda: "a", "Linear")
    calls = [_call(held, place, root) for root in (1, 1, 1, 1, 1, 2, 2, 2)]
    held.drop()
    assert held.entries == calls[4:]
    assert held.missing(calls[4:5]) == {"a": 4}
    assert held.missing(calls[5:]) == {}
    held.clear()
    assert held.missing(calls) == {}


def test_a_recomputed_call_is_none_of_the_first_pass(held):
    place = Place(lambda: "a", "Linear")
    assert held.first(place) == (False, None)
    held.recomputed(_call(held, place))
    assert held.first(place) == (False, None)
    first = _call(held, place)
    assert held.first(place) == (True, first)
    first.graded = True
    assert held.first(place) == (True, None)
