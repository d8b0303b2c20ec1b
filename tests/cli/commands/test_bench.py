"""`gainstage bench`."""

import pytest

from gainstage.bench import BENCHES, Line


@pytest.mark.parametrize(("ratio", "code", "word"), [(2.0, 0, "reached"), (9.0, 1, "MISSED")])
def test_a_promise_that_is_missed_is_the_exit_code(cli, monkeypatch, ratio, code, word):
    assert "kernels" in BENCHES
    lines = [Line("shown", 1.5, "ms"), Line("judged", ratio=ratio, reach=("<=", 8.0))]
    monkeypatch.setitem(BENCHES._members, "kernels", lambda *, peers: lines if not peers else [])
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
    monkeypatch.setitem(BENCHES._members, "overhead", lambda *, peers: asked.append(peers) or lines)
    told = cli("bench", "overhead", "--peers")
    assert asked == [True]
    assert told.exit_code == 1
    assert [" ".join(line.split()) for line in told.stdout.splitlines()[1:]] == [
        "workload contestant CPU ms/step wall ms/step ratio promised",
        "MLP unwatched 10.00 12.50",
        "default 10.40 13.00 1.040 x <= 1.05 reached",
        "exact 13.00 15.00 1.300 x <= 1.2 MISSED",
    ]
    assert all(len(line) <= 80 for line in told.stdout.splitlines())
