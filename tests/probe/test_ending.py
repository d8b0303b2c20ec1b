"""A watch ends completely: each act comes about, and what fails is only told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gainstage.errors import RunFileError
from gainstage.probe.ending import finish_quietly, outcome


def _raise(error):
    raise error


def test_every_act_comes_about_and_each_failure_is_told():
    done = []
    acts = [
        lambda: done.append(1),
        lambda: _raise(ValueError("boom")),
        lambda: done.append(2),
        lambda: _raise(RunFileError("The disk is full.")),
        lambda: done.append(3),
    ]
    with pytest.warns(RuntimeWarning) as told:
        finish_quietly(Path("a.gs"), acts)
    assert done == [1, 2, 3]
    assert [str(one.message) for one in told] == [
        "Gainstage could not finish a.gs. ValueError: boom",
        "Gainstage could not finish a.gs. The disk is full.",
    ]


def test_an_interrupt_passes_after_the_rest_is_done():
    done = []
    acts = [lambda: _raise(KeyboardInterrupt()), lambda: done.append(1)]
    with pytest.raises(KeyboardInterrupt):
        finish_quietly(Path("a.gs"), acts)
    assert done == [1]


class _Mute(Exception):  # noqa: N818 - it says nothing
    def __str__(self):
        raise RuntimeError


def test_an_exception_in_a_line_even_if_it_cannot_say_what_it_is():
    assert outcome(ValueError, ValueError("x")) == "ValueError: x"
    assert outcome(KeyboardInterrupt, None) == "KeyboardInterrupt"
    assert outcome(_Mute, _Mute()) == "_Mute"
