"""Several changes at once, and the order in which they go."""

from contextlib import contextmanager

import pytest

from gainstage.interventions import INTERVENTIONS, Change, applied


def test_changes_are_undone_in_the_opposite_order(monkeypatch):
    told = []

    def telling(name):
        @contextmanager
        def intervention(word=""):
            told.append(f"{name}{word}")
            yield
            told.append(f"not {name}")

        return intervention

    members = {"a": telling("a"), "b": telling("b")}
    monkeypatch.setattr(INTERVENTIONS, "_members", members)
    with applied([Change("a"), Change("b", {"word": "!"})]):
        assert told == ["a", "b!"]
    assert told[2:] == ["not b", "not a"]


def test_a_parameter_that_there_is_not_is_told_at_once():
    with pytest.raises(TypeError, match="norms"), applied([Change("clip-gradients", {"norms": 1})]):
        pass
