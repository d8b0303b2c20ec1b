"""The bounds of what the playground can be asked."""

from __future__ import annotations

import msgspec
import pytest

from gainstage.questions import (
    LONGEST,
    Asked,
    Descent,
    Options,
    Question,
    Settings,
    Stack,
    Terrain,
    given,
    knobs,
)

DESCENT = {"what": "descent", "surface": "saddle", "optimizer": "SGD", "start": [1, 2]}
STACK = {"what": "stack", "activation": "relu", "scheme": "kaiming_normal"}


def read(question):
    return msgspec.json.decode(msgspec.json.encode(question), type=Question)


def test_a_question_is_what_it_says():
    found = read({**DESCENT, "settings": {"lr": 0.5, "betas": [0.9, 0.99], "nesterov": True}})
    assert isinstance(found, Descent)
    assert given(found.settings) == {"lr": 0.5, "betas": (0.9, 0.99), "nesterov": True}
    assert (found.start, found.steps, found.knee) == ((1.0, 2.0), 100, 1.0)
    assert read(STACK) == Stack("relu", "kaiming_normal")
    assert read({"what": "terrain", "surface": "saddle"}) == Terrain("saddle")


def test_a_question_goes_on_as_it_came():
    asked = Asked("page", read({**DESCENT, "settings": {"lr": 0.5}}))
    assert msgspec.json.decode(msgspec.json.encode(asked), type=Asked) == asked
    assert b"\n" not in msgspec.json.encode(read({**DESCENT, "surface": "a\nb"}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"what": "delete"}, "Invalid value 'delete'"),
        ({"what": None}, "what"),
        ({"path": "/etc/passwd"}, "unknown field `path`"),
        ({"surface": ""}, "length >= 1"),
        ({"surface": "x" * 41}, "length <= 40"),
        ({"surface": 3}, "Expected `str`"),
        ({"surface": None}, "Expected `str`"),
        ({"start": [1]}, "length 2"),
        ({"start": [1, 2, 3]}, "length 2"),
        ({"start": [1, "2"]}, "Expected `float`"),
        ({"start": [1e4, 0]}, "<= 1000"),
        ({"start": [0, -1001]}, ">= -1000"),
        ({"start": "12"}, "Expected `array`"),
        ({"steps": 301}, "<= 300"),
        ({"steps": 1}, ">= 2"),
        ({"steps": 10**9}, "<= 300"),
        ({"steps": 2.5}, "Expected `int`"),
        ({"steps": True}, "Expected `int`"),
        ({"steps": 10**30}, "steps"),
        ({"knee": 0}, ">= 0.01"),
        ({"settings": {"lr": 0}}, ">= 1e-06"),
        ({"settings": {"lr": 11}}, "<= 10.0"),
        ({"settings": {"lr": "0.1"}}, "Expected `float`"),
        ({"settings": {"lr": None}}, "Expected `float`"),
        ({"settings": {"momentum": 1}}, "<= 0.9999"),
        ({"settings": {"momentum": -0.1}}, ">= 0.0"),
        ({"settings": {"dampening": 1.5}}, "<= 1.0"),
        ({"settings": {"nesterov": 1}}, "Expected `bool`"),
        ({"settings": {"betas": [0.9, 1]}}, "<= 0.9999"),
        ({"settings": {"betas": [0.9]}}, "length 2"),
        ({"settings": {"eps": 0}}, ">= 1e-12"),
        ({"settings": {"weight_decay": -1}}, ">= 0.0"),
        ({"settings": {"params": []}}, "unknown field `params`"),
        ({"settings": []}, "Expected `object`"),
    ],
)
def test_what_lies_outside_is_refused(change, told):
    with pytest.raises(msgspec.ValidationError, match=told):
        read({**DESCENT, **change})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"depth": 1}, ">= 2"),
        ({"depth": 33}, "<= 32"),
        ({"width": 257}, "<= 256"),
        ({"width": 3}, ">= 4"),
        ({"gain": 0}, ">= 0.1"),
        ({"gain": 1e300}, "<= 10.0"),
        ({"seed": -1}, ">= 0"),
        ({"seed": 10_000}, "<= 9999"),
        ({"options": {"std": 0}}, ">= 0.0001"),
        ({"options": {"mode": "fan_none"}}, "Invalid enum value 'fan_none'"),
        ({"options": {"connections": 0}}, ">= 1"),
        ({"activation": ["relu"]}, "Expected `str`"),
        ({"values": "x" * 41}, "length <= 40"),
    ],
)
def test_a_network_has_bounds_too(change, told):
    with pytest.raises(msgspec.ValidationError, match=told):
        read({**STACK, **change})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", '"x"', "NaN", '{"what":"terrain","surface":"saddle","knee":NaN}',
     '{"what":"terrain","surface":"saddle","knee":1e999}',
     '{"what":"terrain","surface":"saddle","knee":Infinity}',
     '{"what":"terrain","surface":"\\ud800"}', "[" * 100_000, '{"what":"terrain"'],
)  # fmt: skip
def test_what_is_no_question_is_none(text):
    with pytest.raises((msgspec.MsgspecError, RecursionError)):
        msgspec.json.decode(text.encode(), type=Question)


@pytest.mark.parametrize("struct", [Descent, Settings, Stack, Options])
def test_every_number_has_two_bounds_and_a_scale(struct):
    """So that no slider is without an end, and no question without a limit."""
    ranges = knobs(struct)
    places = {"surface", "optimizer", "start", "settings", "activation", "scheme", "options"}
    places |= {"values"}
    assert set(ranges) == set(struct.__struct_fields__) - places
    for name, knob in ranges.items():
        if knob["kind"] in {"switch", "choice"}:
            continue
        assert knob["low"] < knob["high"], name
        assert knob["scale"] in {"linear", "log", "tail"}
        if knob["scale"] == "log" and knob["low"] == 0:
            assert 0 < knob["least"] < knob["high"]
        if knob["scale"] == "tail":
            assert knob["low"] == 0
            assert knob["high"] < 1


def test_the_longest_question_that_makes_sense_fits():
    settings = dict.fromkeys(("lr", "momentum", "eps", "weight_decay"), 0.12345678901234568)
    longest = {"page": "p" * 40, "question": {**DESCENT, "surface": "s" * 40, "settings": settings}}
    assert len(msgspec.json.encode(longest)) < LONGEST / 4
