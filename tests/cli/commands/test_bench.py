"""`gainstage bench`."""

import pytest

from gainstage.bench import BENCHES, Line


@pytest.mark.parametrize(("ratio", "code", "word"), [(2.0, 0, "reached"), (9.0, 1, "MISSED")])
def test_a_promise_that_is_missed_is_the_exit_code(cli, monkeypatch, ratio, code, word):
    assert "kernels" in BENCHES
    lines = [Line("shown", 1.5, "ms"), Line("judged", ratio=ratio, reach=("<=", 8.0))]
    monkeypatch.setitem(BENCHES._members, "kernels", lambda: lines)
    told = cli("bench", "kernels")
    assert told.exit_code == code
    assert "1.500 ms" in told.stdout
    assert f"{ratio:.2f} x" in told.stdout
    assert word in told.stdout
