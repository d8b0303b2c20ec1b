"""Groups of parameters are told apart by identity: their arrays have no truth of their own."""

from __future__ import annotations

import numpy as np

from gainstage.probe.lines import Group, Line


def test_groups_of_equal_lines_are_still_two():
    line = Line(0, 4, 0, 4)
    a, b = (Group([line], np.zeros((1, 5), np.int64), 0) for _ in range(2))
    assert a == a  # noqa: PLR0124 - by identity
    assert a != b
    assert (a.before, a.after, a.addresses) == (None, None, [])
