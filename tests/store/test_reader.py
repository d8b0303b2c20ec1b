import builtins
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gainstage.errors import MissingExtraError
from gainstage.records import RunInfo, Series, Site
from gainstage.store import Excerpt, MergedRecording, StoredRecording, Writer

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_numbers_come_back(tmp_path_factory, make_run, data):
    path = tmp_path_factory.mktemp("run") / "a.gs"
    gaps = data.draw(st.lists(st.integers(1, 1000), max_size=20))
    steps = np.cumsum(gaps).tolist()
    values = data.draw(hnp.arrays(np.float32, (len(steps), 3), elements=FLOATS))
    every = data.draw(st.integers(1, 7))
    make_run(path, steps, values=values, compact_every=every, finish=data.draw(st.booleans()))
    with StoredRecording(path) as run:
        assert run.steps.tolist() == steps
        assert run.times.tolist() == [step / 8 for step in steps]
        for index, quantity in enumerate(("loss", "q1", "q2")):
            found = run.values(run.sites[0], quantity)
            np.testing.assert_array_equal(found, values[:, index])  # -0 and 0 are equal, so:
            measured = ~np.isnan(found)
            assert found[measured].tobytes() == values[measured, index].tobytes()
            check_overview(run, quantity, found)
        assert run.damaged == 0


def check_overview(run, quantity, found):
    overview = run.overview(run.sites[0], quantity)
    starts = np.searchsorted(run.steps, overview.step0)
    assert np.all(np.diff(starts) > 0)
    measured = found[~np.isnan(found)]
    assert len(overview.step0) <= len(measured)
    if len(measured):
        assert overview.min.min() == measured.min()
        assert overview.max.max() == measured.max()
    finite = np.isfinite(overview.mean)
    low, mean, high = overview.min[finite], overview.mean[finite], overview.max[finite]
    slack = 1e-12 * np.abs(mean) + 1e-300
    assert np.all((low <= mean + slack) & (mean <= high + slack))


def test_a_run_that_has_not_said_how_long_it_took_tells_how_far_it_has_come(tmp_path, make_run):
    make_run(tmp_path / "a.gs", range(9), compact_every=4, finish=False)
    assert StoredRecording(tmp_path / "a.gs").seconds == 1.0
    assert Excerpt(StoredRecording(tmp_path / "a.gs"), 0, 4).seconds == 1.0
    connection = sqlite3.connect(tmp_path / "a.gs", isolation_level=None)
    connection.execute("UPDATE frame SET crc = 0")  # step 8: when it ended is not known
    connection.close()
    assert StoredRecording(tmp_path / "a.gs").seconds == 7 / 8
    make_run(tmp_path / "b" / "rank0.gs", range(9), finish=False)
    assert MergedRecording(tmp_path / "b").seconds == 1.0
    with Writer(tmp_path / "c.gs", RunInfo("c", 0.0, seconds=3.5)) as writer:
        writer.add([Site(0, "run", "run", "", "", 0)], [])
        assert StoredRecording(tmp_path / "c.gs").seconds == 3.5
    make_run(tmp_path / "d.gs", [], finish=False)
    assert StoredRecording(tmp_path / "d.gs").seconds == 0.0


def test_overview_of_blocks_and_tail(tmp_path, make_run):
    make_run(tmp_path / "a.gs", [0, 1, 5, 9, 20, 21], compact_every=4, finish=False)
    run = StoredRecording(tmp_path / "a.gs")
    overview = run.overview(run.sites[0], "loss")
    assert overview.step0.tolist() == [0, 20]
    assert overview.min.tolist() == [0.0, 20.0]
    assert overview.max.tolist() == [9.0, 21.0]
    assert overview.mean.tolist() == [3.75, 20.5]
    assert len(run.overview(run.sites[0], "lr").step0) == 0


def test_run_without_frames(tmp_path):
    with Writer(tmp_path / "a.gs", RunInfo("a", 0.0)) as writer:
        run = StoredRecording(tmp_path / "a.gs")
        assert (len(run.steps), run.sites, run.events, run.findings) == (0, (), (), ())
        assert run.histogram(Site(0, "x", "output", "x", "", 0)).total == 0
        assert run.refresh() is False
        writer.finish(RunInfo("a", 0.0))
    assert run.refresh() is False
    assert len(run.run_values("loss")) == 0


def test_reader_beside_writer_sees_what_it_refreshed(writer, make_sites):
    (site,) = make_sites(1)
    writer.add([site], [Series(0, 0, "loss")])
    run = StoredRecording(writer.path)
    for step in range(0, 60, 2):
        writer.write_frame(step, np.array([step], dtype=np.float32), t=float(step))
        before = run.steps.tolist()  # the tail may have turned into chunks meanwhile
        assert run.values(site, "loss").tolist() == before
        assert run.refresh() is True
        assert run.refresh() is False
        assert run.steps.tolist() == [*before, step]
        assert run.values(site, "loss").tolist() == [*before, step]
        assert run.overview(site, "loss").max[-1] == step
    writer.finish(RunInfo("run", 1.0e9, status="finished"))
    assert run.values(site, "loss").tolist() == list(range(0, 60, 2))
    assert run.refresh() is False
    assert run.info.status == "finished"


def test_reader_in_threads_beside_writer(writer, make_sites):
    (site,) = make_sites(1)
    writer.add([site], [Series(0, 0, "loss")])
    run = StoredRecording(writer.path)
    stop = threading.Event()
    wrong = []

    def read():
        while not stop.is_set():
            run.refresh()
            found = run.values(site, "loss")
            if found.tolist() != list(range(len(found))):
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for step in range(300):
        writer.write_frame(step, np.array([step], dtype=np.float32), t=0.0)
    writer.finish(RunInfo("run", 0.0))
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    run.refresh()
    assert len(run.steps) == 300


def test_frame_is_wide(tmp_path, make_run):
    matrix = make_run(tmp_path / "a.gs", [1, 2, 7], compact_every=2)
    frame = StoredRecording(tmp_path / "a.gs").frame()
    assert frame.index.name == "step"
    assert frame.index.tolist() == [1, 2, 7]
    assert frame.columns.names == ["site", "kind", "quantity"]
    assert frame.columns.tolist()[1] == ("run", "run", "q1")
    np.testing.assert_array_equal(frame.to_numpy(), matrix)
    assert frame["run", "run", "loss"].dtype == np.float32


def test_frame_without_pandas_says_what_to_install(tmp_path, make_run, monkeypatch):
    make_run(tmp_path / "a.gs", [1])
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[frame\]'"):
        StoredRecording(tmp_path / "a.gs").frame()


HALF_DONE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
for i in range(2000):  # more than the cache holds: pages of the file itself are changed
    connection.execute("INSERT INTO event VALUES (NULL, ?, ?, ?, ?)", (i, "half", "", "x" * 4000))
os._exit(9)
"""


def test_what_a_killed_change_left_half_done_is_rolled_back_before_reading(tmp_path):
    path, info = tmp_path / "a.gs", RunInfo("a", 0.0)
    with Writer(path, info) as writer:
        writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
        writer.write_frame(0, np.array([2.5], dtype=np.float32), t=0.0)
        writer.finish(info)
    subprocess.run([sys.executable, "-c", HALF_DONE, str(path)], check=False)
    assert path.with_name("a.gs-journal").stat().st_size > 0
    with StoredRecording(path) as run:
        assert run.run_values("loss").tolist() == [2.5]
        assert run.events == ()
