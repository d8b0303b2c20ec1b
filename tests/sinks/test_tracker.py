"""What all trackers have in common: a contract over the registry, and buckets for a chart."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gainstage as gs
from gainstage.errors import MissingExtraError, UnknownNameError
from gainstage.sinks import TRACKERS
from gainstage.sinks.tracker import buckets
from gainstage.sketch import Histogram

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=60)


@pytest.mark.parametrize("name", list(TRACKERS))
def test_a_missing_package_is_one_sentence_with_the_command(name, monkeypatch):
    for module in [name, *(one for one in sys.modules if one.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"run `pip install 'gainstage\[{name}\]'`\."):
        TRACKERS[name]()


@pytest.mark.parametrize("name", list(TRACKERS))
def test_a_tracker_is_public_and_has_a_manual(name):
    tracker = TRACKERS[name]
    assert getattr(gs.sinks, tracker.__name__) is tracker
    assert "Args:" in tracker.__doc__
    assert "MissingExtraError" in tracker.__doc__


def test_an_unknown_tracker_is_told_with_what_was_meant():
    with pytest.raises(UnknownNameError, match="Did you mean 'tensorboard'"):
        TRACKERS["tensorbord"]


@given(FLOATS)
def test_buckets_hold_every_element_and_touch_each_other(values):
    values = np.array(values, dtype=np.float32)
    edges, counts = buckets(Histogram.of(values))
    assert counts.sum() == len(values)
    assert len(edges) == len(counts) + 1
    assert (np.diff(edges) > 0).all()
    if len(values):
        for edge, under in zip(edges[1:], np.cumsum(counts), strict=True):
            # an element on an edge belongs to the bin that is farther from zero
            assert (values < edge).sum() <= under <= (values <= edge).sum()


@given(FLOATS, st.integers(1, 20))
def test_merged_buckets_lose_nothing(values, most):
    whole = Histogram.of(np.array(values, dtype=np.float32))
    edges, counts = buckets(whole, most)
    assert len(counts) <= most
    assert counts.sum() == len(values)
    assert len(edges) == len(counts) + 1


def test_non_finite_elements_are_in_no_bucket():
    values = np.array([1.0, np.nan, np.inf, -np.inf], dtype=np.float32)
    edges, counts = buckets(Histogram.of(values))
    assert (edges.tolist(), counts.tolist()) == ([1.0, 1.125], [1])
