"""Making a run file: its folder first."""

from __future__ import annotations

from pathlib import Path

from gainstage.records import RunInfo
from gainstage.store.files import create


def test_a_folder_that_another_rank_makes_meanwhile_is_a_folder(tmp_path, monkeypatch):
    folder, looks, is_dir = tmp_path / "runs", [], Path.is_dir

    def late(self):
        if self == folder and not looks:
            looks.append(self)
            folder.mkdir()  # just after this look
            return False
        return is_dir(self)

    monkeypatch.setattr(Path, "is_dir", late)
    create(folder / "a.gs", RunInfo(id="a", started=0.0)).close()
    assert looks
