"""Choosing what a sink gets."""

from __future__ import annotations

import pytest

from gainstage.errors import UsageError
from gainstage.sinks import DEFAULT, choose
from gainstage.sinks.selection import chosen


def test_patterns_are_those_of_the_shell():
    one = choose(print, "level/grad/*", "run/l?")
    assert one.wants("level/grad/0.weight")
    assert one.wants("run/lr")
    assert not one.wants("run/loss")
    assert not one.wants("level/output/0")


def test_what_is_not_chosen_is_the_default():
    assert choose(print).patterns == DEFAULT
    assert choose(choose(print, "run/*"), every=3).patterns == ("run/*",)
    assert choose(choose(print, "run/*"), "level/*").sink is print


def test_a_sink_is_called_by_its_name():
    class Tracker:
        def __call__(self, reading):
            pass

    assert choose(print).name == "print"
    assert choose(Tracker()).name == "Tracker"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: choose("logs"), "A sink is a function of one reading, .* but got str"),
        (lambda: choose(print, every=0), "every must be a whole number from 1"),
        (lambda: choose(print, every=0.5), "every must be a whole number from 1"),
        (lambda: chosen(print), r"write sinks=\[\.\.\.\] also for a single one"),
        (lambda: chosen(["logs"]), "but got str"),
    ],
)
def test_what_is_no_sink_is_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()
