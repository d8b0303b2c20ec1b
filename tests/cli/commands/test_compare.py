"""`gainstage compare`."""


def test_two_runs_are_compared(cli, runs):
    told = cli("compare", "aaaa", "bbbb", "--dir", runs)
    assert told.exit_code == 0
    assert "2026-01-01-aaaa" in told.stdout
    assert "last loss" in told.stdout
    assert "layers.0" in told.stdout


def test_an_unknown_run_is_one_sentence(cli, runs):
    told = cli("compare", "aaaa", "zzzz", "--dir", runs)
    assert told.exit_code == 2
    assert "No run in" in told.stderr
