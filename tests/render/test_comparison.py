from __future__ import annotations

import io

import pytest
from rich.console import Console

from gainstage.recording import MemoryRecording
from gainstage.records import Site
from gainstage.render.comparison import print_comparison
from gainstage.views.compare import compare_runs


def told(first, second, findings=((), ()), width=100):
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, color_system=None, force_terminal=False)
    print_comparison(console, compare_runs(first, second), findings)
    return buffer.getvalue()


def stages(count, rms):
    sites = [Site(i, f"layer{i}", "output", "", "Linear", i) for i in range(count)]
    return MemoryRecording(sites, {(i, "rms"): [rms * (1 + i)] for i in range(count)})


def test_both_runs_and_their_difference_are_told(recordings, vanishing):
    text = told(vanishing, recordings.handmade(), (recordings.VANISHING_FINDINGS, ()))
    assert "2026-11-22-a1b2" in text
    assert "poor-initialization" in text
    assert "none" in text
    assert "11 stages in the first alone." in text
    assert "4 stages in the second alone." in text


def test_the_levels_that_differ_most_are_told():
    text = told(stages(40, 1.0), stages(40, 0.1))
    assert "-20.0" in text
    assert "16 stages that differ less are not shown." in text
    assert "as loud" not in text


def test_equal_runs_are_told_so():
    text = told(stages(3, 1.0), stages(3, 1.0))
    assert "Every stage that both have is as loud in one as in the other." in text
    assert "what differs" not in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_names_of_strangers_cannot_write_to_the_terminal(recordings, width):
    hostile, findings, _ = recordings.hostile()
    text = told(hostile, recordings.handmade(), (findings, ()), width)
    assert not set("\x1b\u202e\x07") & set(text)
    assert told(recordings.empty(), recordings.empty(), width=width)
