"""Registries: filled by decorators, walked once, strict about names."""

from __future__ import annotations

import sys

import pytest

from gainstage.errors import GainstageError, UnknownNameError
from gainstage.registry import Registry


@pytest.fixture
def shapes():
    registry = Registry("shape")
    for name in ("square", "circle"):
        registry.register(name)(name.upper())
    return registry


def test_members_are_found_by_name_and_listed_in_order(shapes):
    assert shapes["square"] == "SQUARE"
    assert list(shapes) == ["circle", "square"]
    assert shapes.items() == [("circle", "CIRCLE"), ("square", "SQUARE")]
    assert len(shapes) == 2
    assert "circle" in shapes
    assert "oval" not in shapes
    assert 3 not in shapes


def test_a_decorator_returns_its_argument_unchanged():
    def area():
        return 1

    assert Registry("shape").register("area")(area) is area


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sqare", "There is no shape named 'sqare'. Did you mean 'square'?"),
        ("triangle", "There is no shape named 'triangle'. There are: circle, square."),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_meant(shapes, name, text):
    with pytest.raises(UnknownNameError) as error:
        shapes[name]
    assert str(error.value) == text
    assert isinstance(error.value, KeyError)
    assert isinstance(error.value, GainstageError)


def test_two_members_of_one_name_are_refused(shapes):
    with pytest.raises(UnknownNameError, match="Two shapes are named 'square'; rename one"):
        shapes.register("square")(None)
    assert shapes["square"] == "SQUARE"


def test_a_package_is_walked_when_first_asked_and_once(tmp_path, monkeypatch):
    package = tmp_path / "some_shapes"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from gainstage.registry import Registry\n"
        "SHAPES = Registry('shape', 'some_shapes')\n"
        "WALKS = []\n"
    )
    for name in ("a", "b"):
        (package / f"{name}.py").write_text(
            f"from some_shapes import SHAPES, WALKS\nWALKS.append('{name}')\n"
            f"SHAPES.register('{name}')(1)\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    import some_shapes

    assert not some_shapes.WALKS
    assert list(some_shapes.SHAPES) == ["a", "b"]
    assert "a" in some_shapes.SHAPES
    assert some_shapes.WALKS == ["a", "b"]
    for name in ("some_shapes", "some_shapes.a", "some_shapes.b"):
        sys.modules.pop(name)
