"""From JSON to JSON."""

from __future__ import annotations

import json

import pytest

from gainstage.errors import UnknownNameError
from gainstage.playground.answers import answer


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ({"what": "catalogue"}, "optimizers"),
        ({"what": "terrain", "surface": "saddle"}, "heights"),
        ({"what": "descent", "surface": "saddle", "optimizer": "Adam", "start": [1, 1]}, "values"),
        ({"what": "stack", "activation": "relu", "scheme": "orthogonal", "depth": 2}, "stages"),
    ],
)
def test_each_question_has_its_answer(question, key):
    told = answer(json.dumps(question).encode())
    assert key in json.loads(told)
    assert b"\n" not in told  # one line


def test_what_does_not_fit_is_raised():
    with pytest.raises(UnknownNameError, match="no surface named"):
        answer(b'{"what":"terrain","surface":"nowhere"}')
