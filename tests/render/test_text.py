from __future__ import annotations

import io
import os
import unicodedata
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from gainstage.render.level_lines import ink
from gainstage.render.text import levels_table, print_verdict
from gainstage.render.words import advice, clean, shorten

GOLDEN = Path(__file__).parent / "golden"


def _printed(recording, findings=(), *, width=80, manuals=None, step=None, **console):
    file = io.StringIO()
    out = Console(file=file, width=width, **console)
    print_verdict(out, recording, findings, manuals=manuals, step=step)
    return file.getvalue()


@pytest.fixture
def findings(recordings):
    return recordings.VANISHING_FINDINGS


def _golden(name, text):
    """Compare with a stored text; ``GAINSTAGE_RENEW=1`` stores it anew."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GAINSTAGE_RENEW"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 120])
def test_verdict(recordings, findings, width):
    text = _printed(recordings.handmade(), findings, width=width, manuals=recordings.MANUALS)
    assert text.isascii()
    _golden(f"verdict-{width}", text)


@pytest.mark.parametrize("width", [80, 120])
def test_healthy(recordings, width):
    _golden(f"healthy-{width}", _printed(recordings.handmade(), (), width=width, step=30))


def test_levels_table(recordings):
    _golden("levels", levels_table(recordings.handmade(), 30, width=90) + "\n")


def test_nothing_recorded_is_no_verdict(recordings):
    text = _printed(recordings.empty())
    assert "no verdict" in text
    assert "No stage was measured." in text
    assert "healthy" not in text


@pytest.mark.parametrize("width", [1, 8, 20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_console(recordings, findings, width):
    hostile, found, manuals = recordings.hostile()
    shown = [
        _printed(hostile, found, width=width, manuals=manuals),
        _printed(recordings.handmade(), findings, width=width, manuals=recordings.MANUALS),
    ]
    if width >= 20:
        shown.append(levels_table(hostile, width=width))
    for text in shown:
        assert max(cell_len(line) for line in text.split("\n")) <= width


def test_hostile_names_are_cleaned(recordings):
    hostile, found, manuals = recordings.hostile()
    text = _printed(hostile, found, width=100, manuals=manuals)
    odd = {c for c in text if unicodedata.category(c)[0] == "C"} - {"\n"}
    assert odd == set()
    assert "[red]markup" in text  # rich reads no markup in a name


def test_an_ascii_pipe_gets_escapes(recordings):
    hostile, found, manuals = recordings.hostile()
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii", errors="strict") as file:
        print_verdict(Console(file=file, width=90), hostile, found, manuals=manuals)
        file.flush()
        assert b"\\u5c42" in raw.getvalue()


def test_a_terminal_gets_colour_and_lines(recordings, findings):
    text = _printed(
        recordings.handmade(),
        findings,
        force_terminal=True,
        color_system="standard",
        legacy_windows=False,
    )
    assert "\x1b[" in text
    assert "━" in text


def test_many_stages_are_shown_from_both_ends(recordings):
    deep = recordings.train(70, 2, width=8)
    lines = levels_table(deep, width=80).splitlines()
    assert "(19 more stages)" in lines
    assert any(line.startswith("layers.138 ") for line in lines)


def test_ink_without_utf8_is_ascii():
    assert ink(plain=False, encoding="latin-1").full == "#"
    assert ink(plain=False, encoding="utf-8").full == "━"


@pytest.mark.parametrize(
    ("manual", "told"),
    [
        ("", []),
        ("Just this\nparagraph.\n\nMore.", ["Just this paragraph."]),
        ("X.\n\nFix: turn it\n    down.\n\nWhy: because.", ["turn it down."]),
        (
            "X.\n\nWhat to do\n----------\n\n1. one\n2. two\n\nSource\n------\nbook",
            ["1. one", "2. two"],
        ),
        ("X.\n\nWhat to do:\n\n- a\n  b\n- c", ["- a b", "- c"]),
    ],
)
def test_advice(manual, told):
    assert advice(manual) == told


def test_shorten_counts_wide_characters():
    assert cell_len(shorten("层" * 50, 11)) <= 11
    assert shorten("abc", 0) == ""
    assert clean("\ud800a\u2028b\x00") == "a b"
