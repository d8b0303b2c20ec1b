"""Levels along stages and from call to call: closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gainstage.diagnosis.growth import CALLS, along_calls, along_stages

LEVELS = st.lists(st.floats(-200, 200), min_size=2, max_size=30)


@given(LEVELS, st.floats(-100, 100))
def test_a_gain_is_relative_to_the_first_stage_whatever_the_level(levels, offset):
    names = [str(n) for n in range(len(levels))]
    gain = along_stages(list(zip(names, levels, strict=True)))
    moved = along_stages([(name, x + offset) for name, x in zip(names, levels, strict=True)])
    assert gain.highest == pytest.approx(max(levels) - levels[0])
    assert gain.lowest == pytest.approx(min(levels) - levels[0])
    assert gain.last == pytest.approx(levels[-1] - levels[0])
    assert moved.highest == pytest.approx(gain.highest, abs=1e-9)
    assert levels[int(gain.highest_site)] == pytest.approx(max(levels))


def test_unknown_levels_are_left_out_and_one_alone_has_no_gain():
    gain = along_stages([("a", np.nan), ("b", 1.0), ("c", np.nan), ("d", 4.0)])
    assert (gain.highest, gain.highest_site, gain.highest_stages) == (3.0, "d", 1)
    assert along_stages([("a", np.nan), ("b", 1.0)]) is None
    assert along_calls("a", [0.0] * (CALLS - 1) + [np.nan]) is None


@given(st.integers(CALLS, 200), st.floats(-100, 100), st.floats(-5, 5))
def test_adding_up_equal_parts_is_no_growth_and_a_factor_a_call_is(calls, level, factor_db):
    n = np.arange(calls)
    adding = along_calls("cell", level + 20 * np.log10(1 + n))
    assert adding.db == pytest.approx(0.0, abs=1e-9)
    growing = along_calls("cell", level + 20 * np.log10(1 + n) + factor_db * n)
    assert growing.db == pytest.approx(factor_db * (calls - 1), abs=1e-6)
    assert (growing.name, growing.calls) == ("cell", calls)
