"""`gainstage bench`."""

import json

import pytest

from gainstage.bench import BENCHES, Grid, Line, Outcome, Settings
from gainstage.errors import UsageError

LINE = Line("shown", 1.5, "ms")


@pytest.mark.parametrize(("ratio", "code", "word"), [(2.0, 0, "reached"), (9.0, 1, "MISSED")])
def test_a_promise_that_is_missed_is_the_exit_code(cli, monkeypatch, ratio, code, word):
    assert "kernels" in BENCHES
    lines = [Line("shown", 1.5, "ms"), Line("judged", ratio=ratio, reach=("<=", 8.0))]
    monkeypatch.setitem(BENCHES._members, "kernels", lambda _: Outcome(lines))
    told = cli("bench", "kernels")
    assert told.exit_code == code
    assert "1.500 ms" in told.stdout
    assert f"{ratio:.2f} x" in told.stdout
    assert word in told.stdout


def test_a_benchmark_of_several_workloads_is_one_table(cli, monkeypatch):
    assert "overhead" in BENCHES
    asked = []
    lines = [
        Line("unwatched", 10.0, "ms/step", workload="MLP", wall=12.5),
        Line("default", 10.4, "ms/step", 1.04, ("<=", 1.05), workload="MLP", wall=13.0),
        Line("exact", 13.0, "ms/step", 1.3, ("<=", 1.2), workload="MLP", wall=15.0),
    ]
    monkeypatch.setitem(BENCHES._members, "overhead", lambda s: asked.append(s) or Outcome(lines))
    told = cli("bench", "overhead", "--peers")
    assert asked == [Settings(peers=True)]
    assert told.exit_code == 1
    assert [" ".join(line.split()) for line in told.stdout.splitlines()[1:]] == [
        "workload contestant CPU ms/step wall ms/step ratio promised",
        "MLP unwatched 10.00 12.50",
        "default 10.40 13.00 1.040 x <= 1.05 reached",
        "exact 13.00 15.00 1.300 x <= 1.2 MISSED",
    ]
    assert all(len(line) <= 80 for line in told.stdout.splitlines())


def test_tables_of_texts_take_the_place_of_lines_and_all_figures_can_be_kept(
    cli, monkeypatch, tmp_path
):
    assert "doctor" in BENCHES
    line = Line("main finding right", ratio=0.5, reach=(">=", 0.85))
    grid = Grid("doctor: held half", ("", "promised"), [("main finding right", ">= 0.85")])
    asked = []
    outcome = Outcome([line], (grid, Grid("nothing", ("a",), [])), {"cases": [1]})
    monkeypatch.setitem(BENCHES._members, "doctor", lambda s: asked.append(s) or outcome)
    told = cli("bench", "doctor", "--half", "held", "--vary", "3", "--json", tmp_path / "a.json")
    assert asked == [Settings(half="held", vary=3)]
    assert told.exit_code == 1
    assert "doctor: held half" in told.stdout
    assert "nothing" not in told.stdout
    kept = json.loads((tmp_path / "a.json").read_text())["doctor"]
    assert kept["cases"] == [1]
    assert kept["lines"][0]["ratio"] == 0.5


def test_of_all_benchmarks_one_that_cannot_run_here_is_left_out_and_said(cli, monkeypatch):
    def lacks(_):
        msg = "There is no corpus here."
        raise UsageError(msg)

    monkeypatch.setattr(BENCHES, "_members", {"doctor": lacks, "fast": lambda _: Outcome([LINE])})
    told = cli("bench")
    assert told.exit_code == 0
    assert told.stderr == "doctor was left out. There is no corpus here.\n"
    assert "1.500 ms" in told.stdout
    assert cli("bench", "doctor").exit_code == 2
