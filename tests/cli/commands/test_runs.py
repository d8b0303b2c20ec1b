"""`gainstage runs`."""


def test_runs_are_listed_newest_first_with_names_that_can_be_used(cli, runs):
    told = cli("runs", "--dir", runs)
    assert told.exit_code == 0
    rows = [line.split() for line in told.stdout.partition("\n\n")[0].splitlines()]
    assert rows[0] == ["run", "script", "started", "steps", "status", "loss", "findings"]
    names = [row[0] for row in rows[1:]]
    assert names[0] == "2026-01-02-bbbb"
    assert set(names) == {"2026-01-02-bbbb", "2026-01-01-aaaa", "2026-01-03-cccc"}
    assert rows[1][1:2] + rows[1][4:] == ["train.py", "5", "finished", "1.5", "1"]


def test_a_damaged_file_is_listed_as_unreadable(cli, runs):
    told = cli("runs", "--dir", runs)
    table, _, below = told.stdout.partition("\n\n")
    (line,) = (line for line in table.splitlines() if "cccc" in line)
    assert "unreadable" in line
    assert below.count("\n") == 1
    assert "2026-01-03-cccc.gs' cannot be read" in below


def test_an_empty_or_missing_folder_is_no_error(cli, tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        told = cli("runs", "--dir", folder)
        assert told.exit_code == 0
        assert "There is no run in" in told.stdout
        assert "gainstage run train.py" in told.stdout


def test_a_strangers_run_cannot_write_to_the_terminal(cli, store, tmp_path):
    store(tmp_path / "a.gs", script="[red]\x1b[31m\u202etrain.py")
    told = cli("runs", "--dir", tmp_path)
    assert "[red]" in told.stdout
    assert "\x1b" not in told.stdout
    assert "\u202e" not in told.stdout
