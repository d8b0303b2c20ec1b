"""Open calls: nesting, ends that are never told, another call in the same place."""

from __future__ import annotations

import contextlib
import threading

import pytest

from gainstage.probe.calls import OpenCalls


def call(calls, name, body=lambda: None):
    """What torch does around a forward: tell the beginning, run it, tell the end."""
    calls.enter(name)
    body()
    return calls.leave(name)


def fail():
    raise ZeroDivisionError


def test_calls_nest():
    calls, seen = OpenCalls(), []
    assert call(calls, "a", lambda: call(calls, "b", lambda: seen.append(calls.all)))
    assert seen == [["a", "b"]]
    assert calls.all == []


def test_a_call_that_raised_is_closed():
    calls = OpenCalls()
    with pytest.raises(ZeroDivisionError):
        call(calls, "a", lambda: call(calls, "b", fail))
    assert calls.innermost is None


def test_a_call_that_raised_and_was_caught_inside_another_is_closed_with_it():
    calls, seen = OpenCalls(), []

    def body():
        with contextlib.suppress(ZeroDivisionError):
            call(calls, "b", fail)
        seen.append(calls.all)

    assert call(calls, "a", body)
    assert seen == [["a"]]


def test_the_next_call_from_the_same_place_replaces_one_that_raised():
    calls, seen = OpenCalls(), []
    for i in range(20):
        with contextlib.suppress(ZeroDivisionError):
            call(calls, f"failing {i}", fail)
        call(calls, f"fine {i}", lambda: seen.append(calls.all))
    assert seen == [[f"fine {i}"] for i in range(20)]


def test_a_call_may_call_itself():
    calls, depth = OpenCalls(), []

    def body():
        depth.append(len(calls.all))
        if len(depth) < 4:
            call(calls, "a", body)

    call(calls, "a", body)
    assert depth == [1, 2, 3, 4]
    assert calls.all == []


def test_an_end_without_a_beginning_closes_nothing():
    calls, seen = OpenCalls(), []

    def body():
        seen.append(calls.leave("never entered"))
        seen.append(calls.innermost)

    call(calls, "a", body)
    assert seen == [False, "a"]


def test_an_end_closes_what_is_still_open_within():
    calls = OpenCalls()
    calls.enter("outer")
    assert calls.leave("outer")
    assert not calls.leave("outer")


def test_each_thread_has_its_own_calls():
    calls = OpenCalls()
    found = []

    def other():
        found.append((calls.innermost, calls.enter("theirs"), calls.innermost))

    def forward():
        calls.enter("ours")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return calls.all

    assert forward() == ["ours"]
    assert found == [(None, True, "theirs")]
