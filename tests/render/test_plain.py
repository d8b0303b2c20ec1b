"""What is printed is text, in a notebook too."""

import sys
from types import SimpleNamespace

from rich.console import Console

from gainstage.render.plain import as_text


def test_it_is_text_without_colour_or_trailing_spaces():
    assert as_text(lambda console: console.print("[bold]a[/bold]   \nb\n")) == "a\nb"
    assert as_text(lambda console: console.print("x " * 9), width=10).splitlines() == [
        "x x x x x",
        "x x x x",
    ]


def test_in_a_notebook_nothing_is_shown_by_the_way(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    shown = []
    display = SimpleNamespace(display=lambda *args: shown.append(args))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert as_text(lambda console: console.print("a")) == "a"
    assert not shown
    Console(file=sys.stdout).print("a")  # what rich does otherwise
    assert shown
