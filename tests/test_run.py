"""A stored run as users hold it."""

import base64
import gzip
import re

import numpy as np
import pytest

import gainstage as gs
from gainstage.errors import RunFileError
from gainstage.recording import MemoryRecording
from gainstage.records import Finding, Remedy, RunInfo, Series, Site
from gainstage.run import Diagnosis, manuals
from gainstage.store import Writer, save_remedies

RUN = Site(0, "run", "run", "", "", 0)
MAIN = Finding("dead-units", "error", 0.9, "relu", 2, "All units of relu are zero.", rank=1)
NOTE = Finding("saturated-units", "info", 0.6, "tanh", 3, "Some units are full.", rank=2)


def write(path, losses, *, finish=True):
    writer = Writer(path, RunInfo(id=path.stem, started=1.0e9, script="train.py"))
    writer.add([RUN], [Series(0, 0, "loss")])
    for step, loss in enumerate(losses):
        writer.write_frame(step, np.array([loss], dtype=np.float32), t=step / 8)
    if finish:
        writer.finish(RunInfo(id=path.stem, started=1.0e9, script="train.py", status="finished"))
    return writer


@pytest.fixture
def recording():
    return MemoryRecording([RUN], {(0, "loss"): [2.0, 1.0]})


def test_a_diagnosis_is_a_sequence_of_findings(recording):
    diagnosis = Diagnosis(recording, [MAIN, NOTE])
    assert len(diagnosis) == 2
    assert diagnosis[0] is MAIN
    assert diagnosis[-1] is NOTE
    assert diagnosis[:1] == (MAIN,)
    assert list(diagnosis) == [MAIN, NOTE]
    assert NOTE in diagnosis
    assert [*reversed(diagnosis)] == [NOTE, MAIN]


def test_only_what_is_more_than_a_note_makes_a_training_sick(recording):
    assert Diagnosis(recording, []).healthy
    assert Diagnosis(recording, [NOTE]).healthy
    assert not Diagnosis(recording, [NOTE, MAIN]).healthy


def test_a_diagnosis_prints_as_the_verdict_and_shows_as_its_codes(recording):
    diagnosis = Diagnosis(recording, [MAIN, NOTE])
    assert repr(diagnosis) == "<Diagnosis: dead-units, saturated-units>"
    assert repr(Diagnosis(recording, [])) == "<Diagnosis: healthy>"
    text = str(diagnosis)
    assert "ERROR dead-units" in text
    assert "All units of relu are zero." in text
    assert "What to do:" in text
    assert "\x1b" not in text
    assert "healthy" in str(Diagnosis(recording, []))


def test_a_run_is_opened_by_path_by_name_and_as_the_latest(tmp_path):
    path = tmp_path / "2026-01-01-abcd.gs"
    write(path, [2.0, 1.0])
    for run in (
        gs.open(path),
        gs.open(str(path)),
        gs.open("abcd", dir=str(tmp_path)),
        gs.open(dir=str(tmp_path)),
    ):
        assert run.info.script == "train.py"
        assert repr(run) == "<Run 2026-01-01-abcd: 2 steps, finished>"
        assert run.recording.run_values("loss").tolist() == [2.0, 1.0]


def test_a_run_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RunFileError, match="There are no runs in"):
        gs.open(dir=str(tmp_path))
    with pytest.raises(gs.GainstageError, match="no run file"):
        gs.open(tmp_path / "missing.gs")


def test_a_live_run_is_judged_as_it_is_now(tmp_path):
    path = tmp_path / "live.gs"
    writer = write(path, [2.0], finish=False)
    run = gs.open(path)
    assert run.info.status == "running"
    writer.write_frame(1, np.array([1.0], dtype=np.float32), t=1.0)
    assert isinstance(run.diagnose(), Diagnosis)
    assert len(run.recording.steps) == 2
    writer.close()


def test_a_run_gives_its_report_and_its_frame(tmp_path):
    path = tmp_path / "a.gs"
    write(path, [2.0, 1.0])
    run = gs.open(path)
    report = run.report(tmp_path / "a.html")
    assert report == tmp_path / "a.html"
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    frame = run.frame()
    assert frame[("run", "run", "loss")].tolist() == [2.0, 1.0]


def test_a_run_shows_itself_in_a_notebook(tmp_path):
    write(tmp_path / "a.gs", [2.0, 1.0])
    shown = gs.open(tmp_path / "a.gs")._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts allow-downloads"')
    (packed,) = re.findall(r"id=&quot;packed&quot;&gt;([\w+/=]+)&lt;", shown)
    assert "train.py" in gzip.decompress(base64.b64decode(packed)).decode()
    assert len(shown) < 3e6  # marimo shows nothing above 8 MB


def test_there_is_a_manual_for_every_finding():
    from gainstage.diagnosis import RULES

    assert set(manuals()) == set(RULES)
    assert all(manuals().values())


def test_what_was_tried_on_a_run_is_at_hand(tmp_path):
    write(tmp_path / "a.gs", [2.0, 1.0])
    assert gs.open(tmp_path / "a.gs").remedies == ()
    remedy = Remedy("gradients zeroed", ("gradients-not-zeroed",), "Do it.", verified=True)
    save_remedies(tmp_path / "a.gs", [remedy])
    assert gs.open(tmp_path / "a.gs").remedies == (remedy,)
