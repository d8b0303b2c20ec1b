"""Groups of parameters are told apart by identity: their arrays have no truth of their own."""

from __future__ import annotations

import weakref

import numpy as np
import torch

from gainstage.probe.lines import Group, Line, Routine


def test_groups_of_equal_lines_are_still_two():
    line = Line(0, 4, 0, 4)
    a, b = (Group([line], np.zeros((1, 5), np.int64), 0) for _ in range(2))
    assert a == a  # noqa: PLR0124 - by identity
    assert a != b
    assert (a.before, a.after, a.addresses) == (None, None, [])


def test_a_routine_holds_for_parameters_of_the_same_place_size_and_kind():
    weight = torch.nn.Parameter(torch.ones(4))
    group = Group([Line(0, 4, 0, 4)], np.zeros((1, 5), np.int64), 0, [weight.data_ptr()])
    routine = Routine([weakref.ref(weight)], [True], group)
    assert routine.holds([weight])
    assert not routine.holds([])
    whole = weight.data
    for other in (whole[:2], whole[1:], whole.view(torch.int32).view(torch.float16)[:4]):
        weight.data = other
        assert not routine.holds([weight])
    weight.data = whole
    assert routine.holds([weight])
