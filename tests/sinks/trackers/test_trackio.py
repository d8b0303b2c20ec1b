"""What trackio's own storage has is what was measured."""

from __future__ import annotations

import pytest

import gainstage as gs
from gainstage.sinks.tracker import buckets
from gainstage.sinks.trackers.trackio import MOST_BUCKETS, PREFIX

trackio = pytest.importorskip("trackio", reason="the extra `trackio` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # trackio's own


@pytest.fixture
def logs(monkeypatch, tmp_path):
    """The rows of a run, read from trackio's database."""
    from trackio import sqlite_storage, utils

    for module in (utils, sqlite_storage):
        for name in ("TRACKIO_DIR", "MEDIA_DIR"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / "trackio")
    (tmp_path / "trackio").mkdir()

    def read(project, run):
        found = {}
        for row in sqlite_storage.SQLiteStorage.get_logs(project, run):
            found.setdefault(row["step"], {}).update(row)
        return found

    return read


def test_scalars_histograms_and_findings_are_ours(logs, trained, catch, tmp_path):
    caught = catch()
    run = trained(tmp_path / "runs", [gs.sinks.Trackio("mine"), caught], faint=True)
    rows = logs("mine", run.path.stem)
    for name in caught.names:
        ours = caught.series(name)
        assert {step: rows[step][PREFIX + name] for step in ours} == ours
    shape = caught.shapes("histogram/output/0")[3]
    edges, counts = buckets(shape, MOST_BUCKETS)
    found = rows[3][f"{PREFIX}histogram/output/0"]
    assert (found["bins"], found["values"]) == (edges.tolist(), counts.tolist())
    last = {key: value for row in rows.values() for key, value in row.items()}
    for finding in caught[-2].findings:
        assert last[f"{PREFIX}finding/{finding.code}"] == finding.message
    assert trackio.context_vars.current_run.get() is None


def test_the_programs_own_run_is_used_and_stays_open(logs, trained, tmp_path):
    theirs = trackio.init(project="theirs", name="theirs", embed=False)
    trained(tmp_path / "runs", [gs.sinks.Trackio()], steps=3)
    assert trackio.context_vars.current_run.get() is theirs
    trackio.finish()
    assert f"{PREFIX}run/loss" in logs("theirs", "theirs")[2]
