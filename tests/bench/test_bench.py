"""Benchmarks: promises, fair turns, and that each one runs."""

import pytest

from gainstage.bench import BENCHES, Line
from gainstage.bench.bench import interleaved


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        (Line("shown"), True),
        (Line("no promise", ratio=9.0), True),
        (Line("no ratio", reach=("<=", 8.0)), True),
        (Line("below", ratio=7.0, reach=("<=", 8.0)), True),
        (Line("above", ratio=9.0, reach=("<=", 8.0)), False),
        (Line("enough", ratio=15.0, reach=(">=", 15.0)), True),
        (Line("too little", ratio=14.0, reach=(">=", 15.0)), False),
        (Line("undefined", ratio=float("nan"), reach=("<=", 8.0)), False),
    ],
)
def test_a_promise_is_reached_or_missed(line, reached):
    assert line.reached is reached


def test_contestants_take_turns_and_the_first_round_does_not_count():
    calls = []
    names = ("a", "b")
    spent = interleaved({name: lambda name=name: calls.append(name) for name in names}, rounds=3)
    assert calls == ["a", "b"] * 4
    assert set(spent) == set(names)
    assert all(seconds >= 0 for seconds in spent.values())


def test_there_are_benchmarks_and_each_says_what_it_measures():
    assert "kernels" in BENCHES
    assert all(BENCHES[name].__doc__ for name in BENCHES)
