"""`gainstage ui`."""

from gainstage.render.live import server


def test_the_command_serves_the_folder(cli, monkeypatch, tmp_path):
    asked = []

    def serve(folder, **options):
        asked.append((folder, options.pop("tell"), options))

    monkeypatch.setattr("gainstage.render.live.serve", serve)
    assert cli("ui", tmp_path, "--port", "0", "--no-browser").exit_code == 0
    assert cli("ui").exit_code == 0
    told = [(folder, options) for folder, _, options in asked]
    assert told[0] == (str(tmp_path), {"port": 0, "browser": False})
    assert told[1] == ("runs", {"port": None, "browser": True})


def test_the_folder_above_the_runs_leads_to_them(cli, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("gainstage.render.live.serve", lambda folder, **_: asked.append(folder))
    (tmp_path / "runs").mkdir()
    told = cli("ui", tmp_path, "--no-browser")
    assert f"those in '{tmp_path / 'runs'}' are shown" in told.output
    (tmp_path / "one.gs").touch()
    assert "are shown" not in cli("ui", tmp_path, "--no-browser").output
    assert asked == [str(tmp_path / "runs"), str(tmp_path)]


def test_a_port_in_use_is_one_sentence(cli, tmp_path):
    listener = server._listener(0)
    told = cli("ui", tmp_path, "--port", listener.getsockname()[1], "--no-browser")
    listener.close()
    assert told.exit_code == 2
    assert told.stderr.startswith("gainstage: Port ")


def test_a_folder_that_is_not_there_is_an_error(cli, tmp_path):
    told = cli("ui", tmp_path / "nowhere", "--no-browser")
    assert told.exit_code == 2
    assert told.stderr.startswith("gainstage: There is no folder '")
