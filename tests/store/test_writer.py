import contextlib
import lzma
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gainstage.errors import UsageError
from gainstage.records import Curve, Event, Finding, Remedy, RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import StoredRecording, Writer, save_findings, save_remedies

INFO = RunInfo("run", 1.0e9)
ONE = np.ones(1, dtype=np.float32)


def test_series_may_join_at_any_time(writer, make_sites):
    first, second, third = make_sites(3)
    writer.add([first], [Series(0, 0, "loss")])
    for step in range(3):
        writer.write_frame(step, ONE * step, t=0.0)
    writer.add([second], [Series(1, 1, "rms"), Series(2, 1, "std")])
    for step in range(3, 9):
        writer.write_frame(step, np.array([step, 10 + step, np.nan], dtype=np.float32), t=0.0)
    writer.add([third], [Series(3, 0, "lr")])
    writer.write_frame(9, np.array([9, 19, 5, 7], dtype=np.float32), t=0.0)
    for finished in (False, True):
        if finished:
            writer.finish(INFO)
        with StoredRecording(writer.path) as run:
            nan = np.nan
            assert run.sites == (first, second, third)
            assert run.quantities(first) == ("loss", "lr")
            np.testing.assert_array_equal(run.steps, np.arange(10))
            np.testing.assert_array_equal(run.values(first, "loss"), np.arange(10))
            np.testing.assert_array_equal(run.values(second, "rms"), [nan] * 3 + [*range(13, 20)])
            np.testing.assert_array_equal(run.values(second, "std"), [nan] * 9 + [5])
            np.testing.assert_array_equal(run.values(first, "lr"), [nan] * 9 + [7])
            assert np.isnan(run.values(third, "rms")).all()
            assert run.damaged == 0


def test_records_come_back_as_they_were(writer, make_sites):
    (site,) = make_sites(1)
    writer.add([site], [])
    evidence = {"ratio": float("inf"), "big": 2**80, "np": np.float32(0.5), "list": (1, 2)}
    finding = Finding("dead-units", "error", 0.5, "\ud800<b>", 3, "m", evidence)
    event = Event(3, "stopped", "a\x00b\u202e", {"nan": None, "array": np.arange(2)})
    writer.add_event(event)
    writer.set_findings([finding, finding])
    writer.set_findings([finding])
    info = RunInfo("run", 2.0, "s.py", ("-x", "\udcff"), facts={"classes": 10, 3: "key"})
    writer.update_info(info)
    run = StoredRecording(writer.path)
    assert run.info.args == info.args
    assert run.info.facts == {"classes": 10, "3": "key"}
    (found,) = run.findings
    assert found.site == finding.site
    assert found.evidence == {"ratio": float("inf"), "big": 2**80, "np": 0.5, "list": [1, 2]}
    assert run.events == (Event(3, "stopped", "a\x00b\u202e", {"nan": None, "array": [0, 1]}),)


HOSTILE = [
    "'; DROP TABLE site; --",
    "<img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "a\x00b\x1b[31m",
    "\u202egnp.exe",
    "__proto__",
    "../../etc/passwd",
    "",
    "\ud800",
    "x" * 10_000,
]


def test_hostile_names_survive_verbatim(writer):
    sites = [Site(i, name, "output", name, name, i) for i, name in enumerate(HOSTILE)]
    writer.add(sites, [])
    writer.finish(INFO)
    assert StoredRecording(writer.path).sites == tuple(sites)


@pytest.mark.parametrize("finish", [True, False])
def test_findings_may_be_saved_later(tmp_path, make_run, finish):
    path = tmp_path / "a.gs"
    make_run(path, range(10), finish=finish)
    one, two = (Finding("dead-units", "error", 0.5, "l", step, "m") for step in (1, 2))
    with StoredRecording(path) as run:  # a reader in the way is no hindrance
        assert len(run.run_values("loss")) == 10
        save_findings(path, [one, two])
        save_findings(path, [two])
        run.refresh()
        assert run.findings == (two,)
    assert [file.name for file in tmp_path.iterdir() if finish] in ([], ["a.gs"])


REMEDY = Remedy(
    "learning rate x 0.1",
    ("learning-rate-too-high",),
    "Multiply the learning rate by 0.1.",
    diff="--- a/train.py\n+++ b/train.py\n",
    loss_before=(None, 2.3),
    score_after=(0.9, 0.8),
    seeds=2,
    verified=True,
    curves=(Curve("unchanged", 0, (9, 19), (2.3, None)), Curve("remedy", 1, (9, 19), (2.3, 0.1))),
)


@pytest.mark.parametrize("finish", [True, False])
def test_remedies_may_be_saved_later(tmp_path, make_run, finish):
    path = tmp_path / "a.gs"
    make_run(path, range(10), finish=finish)
    assert StoredRecording(path).remedies == ()
    save_remedies(path, [REMEDY, replace(REMEDY, verified=False)])
    save_remedies(path, [REMEDY])
    assert StoredRecording(path).remedies == (REMEDY,)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        told = connection.execute("SELECT name, verified FROM remedy").fetchall()
    assert told == [("learning rate x 0.1", 1)]


def test_a_file_of_an_older_format_is_read_and_takes_what_came_later(tmp_path):
    """`golden/format1.gs.xz` was written by the last version that knew no remedies."""
    path = tmp_path / "old.gs"
    golden = Path(__file__).parent / "golden" / "format1.gs.xz"
    path.write_bytes(lzma.decompress(golden.read_bytes()))
    run = StoredRecording(path)
    assert (run.info.status, len(run.steps), run.remedies) == ("finished", 20, ())
    assert run.run_values("loss")[3] == np.float32(1.7)
    assert [finding.code for finding in run.findings] == ["dead-units"]
    assert run.histogram(run.sites[1]).total == 80
    save_remedies(path, [REMEDY])
    run.refresh()
    assert run.remedies == StoredRecording(path).remedies == (REMEDY,)
    assert [finding.code for finding in run.findings] == ["dead-units"]


@pytest.mark.parametrize(
    ("sites", "series", "message"),
    [
        ([1], [], r"new sites must go on from 0, got \[1\]"),
        ([0], [Series(1, 0, "rms")], r"new series must go on from 0, got \[1\]"),
        ([0], [Series(0, 1, "rms")], r"Series 0 \('rms'\) is of an unknown site: 1"),
        ([0], [Series(0, 0, "rms"), Series(1, 0, "rms")], "of site 0 is there already"),
    ],
)
def test_ids_out_of_turn_are_refused(writer, sites, series, message):
    with pytest.raises(UsageError, match=message):
        writer.add([Site(i, "a", "output", "a", "", 0) for i in sites], series)
    assert StoredRecording(writer.path).sites == ()


def test_steps_must_ascend_and_frames_must_fit(writer, make_sites):
    writer.add(make_sites(1), [Series(0, 0, "loss")])
    writer.write_frame(5, ONE, t=0.0)
    for step in (5, 4, -1, 2**62):
        with pytest.raises(UsageError, match=f"must ascend from 0, got {step} after 5"):
            writer.write_frame(step, ONE, t=0.0)
    with pytest.raises(UsageError, match=r"A frame has 1 values by now, got shape \(2,\)"):
        writer.write_frame(6, np.ones(2, dtype=np.float32), t=0.0)
    with pytest.raises(UsageError, match="comes before its step's frame: got 5 after 5"):
        writer.add_histogram(0, 5, Histogram.empty())
    with pytest.raises(UsageError, match="There is no site 1 yet"):
        writer.add_histogram(1, 6, Histogram.empty())
    assert StoredRecording(writer.path).steps.tolist() == [5]
    with pytest.raises(UsageError, match="compact_every must be at least 1, got 0"):
        Writer(writer.path, INFO, compact_every=0)


def test_end_is_idempotent_and_final(writer, make_sites):
    writer.add(make_sites(1), [Series(0, 0, "loss")])
    writer.write_frame(0, ONE, t=0.0)
    done = RunInfo("run", 1.0e9, status="finished")
    writer.finish(done)
    writer.finish(INFO)
    writer.close()
    assert StoredRecording(writer.path).info == done
    with pytest.raises(UsageError, match="is closed: nothing more can be written"):
        writer.write_frame(1, ONE, t=0.0)


def test_clean_end_leaves_one_private_file(tmp_path, make_run):
    path = tmp_path / "new" / "runs" / "a.gs"
    make_run(path, range(600))
    assert [file.name for file in path.parent.iterdir()] == ["a.gs"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert connection.execute("SELECT count(*) FROM frame").fetchone() == (0,)
    connection.close()


def test_close_without_finish_is_readable(tmp_path, make_run):
    path = tmp_path / "a.gs"
    matrix = make_run(path, range(10), compact_every=4, finish=False)
    run = StoredRecording(path)
    assert run.info.status == "running"
    np.testing.assert_array_equal(run.run_values("loss"), matrix[:, 0])


def test_reader_that_stays_open_does_not_break_the_end(writer, make_sites):
    writer.add(make_sites(1), [Series(0, 0, "loss")])
    writer.write_frame(0, ONE, t=0.0)
    with StoredRecording(writer.path) as run:
        assert run.run_values("loss").tolist() == [1.0]  # from now on it holds the file
        writer.finish(RunInfo("run", 1.0e9, status="finished"))
        assert run.run_values("loss").tolist() == [1.0]
        run.refresh()
        assert run.info.status == "finished"
        assert run.run_values("loss").tolist() == [1.0]


def test_idle_reader_lets_the_writer_leave_wal(writer, make_sites):
    writer.add(make_sites(1), [Series(0, 0, "loss")])
    writer.write_frame(0, ONE, t=0.0)
    run = StoredRecording(writer.path)
    assert run.run_values("loss").tolist() == [1.0]
    writer.finish(INFO)
    assert not writer.path.with_name("run.gs-wal").exists()


def test_error_in_the_block_is_what_one_sees(tmp_path):
    with pytest.raises(KeyError, match="mine"), Writer(tmp_path / "a.gs", INFO):
        raise KeyError("mine")  # noqa: EM101


def test_views_answer_plain_sql(tmp_path, make_run):
    make_run(tmp_path / "a.gs", range(8), compact_every=4)
    connection = sqlite3.connect(tmp_path / "a.gs")
    assert connection.execute("SELECT site, kind, quantity FROM measured").fetchone() == (
        "run",
        "run",
        "loss",
    )
    rows = connection.execute("SELECT * FROM overview WHERE quantity = 'loss'").fetchall()
    assert rows == [
        ("run", "run", "loss", 0, 4, 0.0, 3.0, 1.5, 3.0),
        ("run", "run", "loss", 4, 4, 4.0, 7.0, 5.5, 7.0),
    ]
    connection.close()


FORK = """
import os, sys
import numpy as np
from gainstage.records import RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import StoredRecording, Writer

info = RunInfo("a", 0.0)
one = np.ones(1, dtype=np.float32)
writer = Writer(sys.argv[1], info)
writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
writer.write_frame(0, one, 0.0)
held = StoredRecording(sys.argv[1]).__enter__()
assert held.run_values("loss").tolist() == [1.0]
child = os.fork()
if not child:
    assert held.run_values("loss").tolist() == [1.0]  # through a connection of its own
    held.close()
    # every method is a no-op, then the interpreter ends as it does, with all destructors
    writer.write_frame(1, 2 * one, 0.0)
    writer.add([], [])
    writer.add_histogram(0, 1, Histogram.empty())
    writer.set_findings([])
    writer.update_info(RunInfo("child", 0.0))
    writer.finish(RunInfo("child", 0.0))
    writer.close()
    del writer
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
held.refresh()
assert held.info == info
held.close()
writer.write_frame(1, one, 0.0)
writer.finish(info)
run = StoredRecording(sys.argv[1])
assert run.info == info
assert run.run_values("loss").tolist() == [1.0, 1.0]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_is_disarmed(tmp_path):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(FORK), str(tmp_path / "a.gs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_store_leaves_torch_and_pandas_alone():
    code = "import sys, gainstage.store; assert not {'torch', 'pandas', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
