"""How tried remedies look in a terminal or a pipe."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from gainstage.records import Curve
from gainstage.render.remedies import print_remedies


def printed(remedies, width=80, **console):
    file = io.StringIO()
    print_remedies(Console(file=file, width=width, **console), remedies)
    return file.getvalue()


def test_a_verified_remedy_says_what_how_and_where(recordings):
    text = printed(recordings.REMEDIES[:1])
    *lines, nothing, legend, rest = text.splitlines()[1:]
    assert not nothing
    assert legend.startswith("loss: its median over the last tenth")
    assert rest.endswith("to a loss of zero.")
    assert lines == [
        "VERIFIED learning rate x 0.01",
        "  for vanishing-gradient",
        "  Better than unchanged and than the control, beyond the spread of the seeds.",
        "    unchanged                    loss 2.301, 2.302  learnt 0%, 0%",
        "    with it                      loss 0.21, 0.24  learnt 91%, 90%",
        "    control: standardised input  loss 2.28, 2.31  learnt 1%, 0%",
        "  How to write it:",
        "    Multiply the learning rate by 0.01.",
        "",
        "    --- a/train_digits.py",
        "    +++ b/train_digits.py",
        "    @@ -17 +17 @@",
        "    -optimizer = SGD(lr=5.0)",
        "    +optimizer = SGD(lr=0.05)",
    ]


def test_no_figure_is_cut_where_a_line_is_too_long(recordings):
    long = replace(recordings.REMEDIES[0], control_name="noise of a tenth on all weights, each")
    text = printed([long])
    figures = "loss 2.28, 2.31; learnt 1%, 0%"
    assert f"    control: noise of a tenth on all weights, each\n      {figures}\n" in text
    assert "    with it\n      loss 0.21, 0.24; learnt 91%, 90%\n" in text


def test_what_all_are_compared_with_is_told_once(recordings):
    text = printed(recordings.REMEDIES)
    assert text.count("unchanged  ") == text.count("control: ") == 1
    assert "NOT VERIFIED" in text
    assert "loss diverged  learnt 0%" in text
    assert "ValueError: boom" in text
    assert "No remedy that was tried is verified." not in text


def test_without_any_proof_that_is_said(recordings):
    text = printed(recordings.REMEDIES[1:])
    assert text.rstrip().endswith("No remedy that was tried is verified.")
    assert printed([]) == ""


@pytest.mark.parametrize("width", [20, 40, 120])
def test_nothing_hostile_or_wide_is_printed_but_a_diff_is_whole(recordings, width):
    text = printed(recordings.REMEDIES, width)
    assert "\x1b" not in text
    lines = text.splitlines()
    diff = [line for line in lines if line.startswith(("    +", "    -", "    @"))]
    assert "    +optimizer = SGD(lr=0.05)" in diff
    assert all(len(line) <= width for line in lines if line not in diff)


def test_a_terminal_gets_colours(recordings):
    text = printed(recordings.REMEDIES, force_terminal=True, color_system="standard")
    assert "\x1b[32m" in text


def test_a_terminal_gets_the_losses_over_the_steps(recordings):
    text = printed(recordings.REMEDIES[:1], 120, force_terminal=True, color_system=None)
    lines = [line.rstrip() for line in text.splitlines() if "learnt " in line and "%" in line]
    assert [line.rpartition("  ")[2] for line in lines] == ["███", "▇▂▁", "█ █"]
    assert "▁" not in printed(recordings.REMEDIES)


@pytest.mark.parametrize(
    ("losses", "drawn"),
    [
        ([1.0, 10.0, 1e3, 1e3], "▁███"),  # what blows up ends at the top
        ([2.0, 0.2, 0.02, 0.002], "█▆▃▁"),  # over decades by the logarithm
        ([1.0, 1.0, 1.0, 1.0], "▁▁▁▁"),
        ([0.0, -1.0, -2.0, -3.0], "█▆▃▁"),
        ([None] * 4, "learnt 91%, 90%"),
        ([], "learnt 91%, 90%"),
    ],
)
def test_a_curve_is_drawn_whatever_its_losses(recordings, losses, drawn):
    curve = Curve("remedy", 0, tuple(range(len(losses))), tuple(losses))
    remedy = replace(recordings.REMEDIES[0], curves=(curve,))
    text = printed([remedy], 120, force_terminal=True, color_system=None)
    (line,) = [line.rstrip() for line in text.splitlines() if "with it" in line]
    assert line.endswith(drawn)
