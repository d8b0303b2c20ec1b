"""Files that cannot be read: every one gives a sentence, or NaN and a count; never a crash."""

import json
import os
import random
import re
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gainstage.errors import RunFileError
from gainstage.records import Event, Finding, RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import StoredRecording, Writer, codec, list_runs, save_findings, schema, source

INFO = RunInfo("run", 1.0e9)


def full_run(path, *, finish):
    """A small file with something in every table, chunks and a tail."""
    rng = np.random.default_rng(0)
    with Writer(path, INFO, compact_every=16) as writer:
        sites = [Site(i, f"l{i}", "output", f"l{i}", "Linear", i) for i in range(3)]
        writer.add(sites, [Series(i, i // 2, f"q{i % 2}") for i in range(6)])
        writer.add_event(Event(1, "stopped"))
        writer.set_findings([Finding("dead-units", "error", 0.5, "l1", 3, "m")])
        for step in range(40):
            for site in range(3):
                writer.add_histogram(site, step, Histogram.of(rng.random(9, dtype=np.float32)))
            writer.write_frame(step, rng.random(6, dtype=np.float32), t=step / 8)
        if finish:
            writer.finish(INFO)


def read_everything(path):
    with StoredRecording(path) as run:
        for site in run.sites:
            for quantity in run.quantities(site):
                assert len(run.values(site, quantity)) == len(run.steps)
                run.overview(site, quantity)
            run.histogram(site)
            run.histogram(site, 3, 17)
        run.refresh()
        return run.damaged, {
            (site.name, quantity): run.values(site, quantity)
            for site in run.sites
            for quantity in run.quantities(site)
        }


def change(path, statement, *values):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement, values)
    connection.close()


@pytest.fixture
def run_file(tmp_path):
    full_run(tmp_path / "a.gs", finish=True)
    return tmp_path / "a.gs"


def refused(path, *words):
    with pytest.raises(RunFileError) as caught:
        read_everything(path)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert message.endswith((".", "`."))
    assert len(re.findall(r"[.:] ?", message)) >= 1
    return message


def test_missing_file_and_folder(tmp_path):
    refused(tmp_path / "a.gs", "a.gs' does not exist: `gainstage runs`")
    refused(tmp_path / "no" / "a.gs", "cannot be read: No such file or directory")
    refused(tmp_path, "is a folder: give the path of a file in it")


def test_file_of_another_kind(tmp_path):
    path = tmp_path / "a.gs"
    path.touch()
    refused(path, "is empty: its run was killed while it was being created")
    path.write_bytes(b"PK\x03\x04" + bytes(5000))
    refused(path, "file is not a database", "give the path of a file made by Gainstage")
    path.unlink()
    change(path, "CREATE TABLE frame (step INTEGER PRIMARY KEY)")
    refused(path, "is an SQLite database of another application")


def test_newer_formats_are_refused(run_file):
    change(run_file, "UPDATE meta SET json = replace(json, '\"schema\": 1', '\"schema\": 9')")
    refused(run_file, "has format 9, and this Gainstage reads formats up to 1: update it")
    change(run_file, "PRAGMA user_version = 7")
    refused(run_file, "has format 7", "`pip install -U gainstage`")


def test_truncated_file(run_file):
    size = run_file.stat().st_size
    for share in (0.9, 0.5, 0.1):
        os.truncate(run_file, int(size * share))
        refused(run_file, "cannot be read", "malformed", "damaged or cut short")
    os.truncate(run_file, 50)
    refused(run_file, "file is not a database")


def test_tables_of_another_make_are_refused(run_file):
    change(run_file, "ALTER TABLE frame RENAME TO other")
    change(
        run_file,
        "CREATE VIEW frame AS WITH RECURSIVE c(step, t, n, crc, v) AS (SELECT 1, 0, 0, 0, x'' "
        "UNION ALL SELECT step + 1, 0, 0, 0, x'' FROM c) SELECT * FROM c",
    )
    refused(run_file, "was altered (its tables are not those of a run)")


def _info(name, value):
    """The statement that puts another value into a field of the run's info."""
    text = codec.to_json(INFO)
    whole = text.replace(f'"{name}": {json.dumps(json.loads(text)[name])}', f'"{name}": {value}')
    assert whole != text
    return f"UPDATE meta SET json = '{whole}'"  # noqa: S608


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE site SET json = '{}' WHERE id = 1", "a Site cannot be read: Object missing"),
        ("UPDATE site SET json = x'00' WHERE id = 1", "a Site is stored as bytes instead of text"),
        ("UPDATE site SET json = replace(json, '\"output\"', '\"no\"')", "Invalid enum value 'no'"),
        ("DELETE FROM site WHERE id = 1", "its sites are not numbered"),
        ("DELETE FROM series WHERE id = 1", "series 1 has no site or is numbered 2"),
        ("UPDATE series SET site = 99 WHERE id = 1", "series 1 has no site"),
        ("UPDATE series SET quantity = x'ff' WHERE id = 1", "series 1 has no site"),
        ("UPDATE meta SET json = '[1'", "a RunInfo cannot be read"),
        ("UPDATE meta SET json = '" + "[" * 50_000 + "'", "a RunInfo is nested too deeply"),
        ("DELETE FROM meta", "is empty"),
        ('UPDATE event SET json = \'{"step": "x", "code": ""}\'', "Expected `int`, got `str`"),
        ("UPDATE finding SET json = 'NaN'", "a Finding cannot be read"),
        (_info("started", "NaN"), "its started are nan"),
        (_info("started", "1e300"), "its started are 1e+300"),
        (_info("seconds", "-1.0"), "its seconds are -1.0"),
        (_info("probe_seconds", "Infinity"), "its probe_seconds are inf"),
        (_info("facts", '{"loss": {}}'), "Expected `str`, got `object` - at `$.loss`"),
        (_info("facts", '{"optimizers": 3}'), "Expected `array`, got `int`"),
        (_info("facts", '{"evaluation": {"shift": "x"}}'), "Expected `float`, got `str`"),
        ("UPDATE rollup SET min = 'much'", "a rollup of series 0"),
    ],
)
def test_altered_records_are_refused(run_file, statement, message):
    change(run_file, statement)
    refused(run_file, message)


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize("column", ["v = zeroblob(length(v))", "n = 'x'", "crc = NULL", "v = 3"])
@pytest.mark.parametrize("table", ["frame", "chunk", "block", "hist"])
def test_damaged_rows_become_nan_and_are_counted(tmp_path, table, column, finish):
    path = tmp_path / "a.gs"
    full_run(path, finish=finish)
    _, whole = read_everything(path)
    if "NULL" in column:
        column = "crc = 1"  # the column refuses NULL
    rows = sqlite3.connect(path)
    count = rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    rows.close()
    change(path, f"UPDATE {table} SET {column} WHERE rowid IN (SELECT rowid FROM {table} LIMIT 1)")  # noqa: S608
    damaged, left = read_everything(path)
    assert damaged == min(count, 1) or table == "hist"
    if table in ("frame", "chunk") and count:
        for key, found in left.items():
            missing = np.isnan(found)
            np.testing.assert_array_equal(found[~missing], whole[key][~missing])
        assert sum(int(np.isnan(found).sum()) for found in left.values()) in (6, 16)
    if table == "block":
        assert {len(found) for found in left.values()} == {24}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("frame", (900, 1.0, 2.5, bytes(10))),
        ("block", (900, 2.5, bytes(40))),
        ("chunk", (0, 0, 2.5, bytes(10))),
        ("hist", (0, 1, 900, 2.5, bytes(10))),
    ],
)
def test_a_count_that_is_no_whole_number_is_damage_though_its_checksum_fits(run_file, table, row):
    *numbers, blob = row
    crc = codec.checksum(blob, *numbers)
    marks = ", ".join("?" * (len(row) + 1))
    change(run_file, f"INSERT OR REPLACE INTO {table} VALUES ({marks})", *numbers, crc, blob)  # noqa: S608
    damaged, _ = read_everything(run_file)
    assert damaged == 1
    assert [run.problem for run in list_runs(run_file.parent)] == [""]


@pytest.mark.parametrize("first", [-1, 899, 2**62])
def test_a_block_whose_steps_are_not_those_that_it_claims_is_damage(run_file, first):
    blob = codec.pack_steps(np.array([first, first + 1]), np.zeros(2))
    step0 = 900 if first < 2**62 else first
    crc = codec.checksum(blob, step0, 2)
    change(run_file, "INSERT INTO block VALUES (?, 2, ?, ?)", step0, crc, blob)
    damaged, left = read_everything(run_file)
    assert damaged == 1
    assert {len(found) for found in left.values()} == {40}


def test_steps_that_do_not_ascend_are_refused(run_file):
    steps, times = np.array([3, 4], dtype=np.int64), np.zeros(2)
    blob = codec.pack_steps(steps, times)
    crc = codec.checksum(blob, 3, 2)
    change(run_file, "INSERT INTO block VALUES (3, 2, ?, ?)", crc, blob)
    refused(run_file, "its steps do not ascend")


def test_a_step_beyond_all_counting_is_refused(run_file):
    blob = codec.pack_values(np.zeros(6, dtype=np.float32))
    row = (2**63 - 1, 1.0, 6)
    change(
        run_file, "INSERT INTO frame VALUES (?, ?, ?, ?, ?)", *row, codec.checksum(blob, *row), blob
    )
    refused(run_file, "its steps reach 9223372036854775807")


def test_row_of_a_gigabyte_is_not_read(run_file):
    if not hasattr(sqlite3.Connection, "setlimit"):
        pytest.skip("needs Python 3.11")
    change(run_file, "INSERT INTO frame VALUES (900, 0, 1, 1, zeroblob(70000000))")
    refused(run_file, "too big", "do not trust it")


def test_endless_reading_is_given_up(run_file, monkeypatch):
    monkeypatch.setattr(source, "LONGEST_READING", -1.0)
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"
    with (
        pytest.raises(RunFileError, match=r"interrupted.*do not trust it"),
        source.Source(run_file).reading() as connection,
    ):
        connection.execute(endless).fetchone()


def test_findings_are_not_saved_to_what_is_no_run(tmp_path, run_file):
    with pytest.raises(RunFileError, match="does not exist"):
        save_findings(tmp_path / "none.gs", [])
    assert not (tmp_path / "none.gs").exists()
    change(run_file, "CREATE TRIGGER t AFTER DELETE ON finding BEGIN DELETE FROM site; END")
    with pytest.raises(RunFileError, match="it has triggers, which no run has"):
        save_findings(run_file, [])


def hot_journal(run_file, names):
    """A journal as one that a killed writer of several databases at once would leave."""
    magic = bytes.fromhex("d9d505f920a163d7")
    pages = run_file.stat().st_size // schema.PAGE_SIZE
    head = magic + struct.pack(">IIIII", 0, 0, pages, 512, schema.PAGE_SIZE)
    name = os.fsencode(names)
    locked = 2**30 // schema.PAGE_SIZE + 1
    tail = struct.pack(">I", locked) + name + struct.pack(">II", len(name), sum(name)) + magic
    run_file.with_name(run_file.name + "-journal").write_bytes(head.ljust(512, b"\0") + tail)


@pytest.mark.parametrize("linked", [False, True])
def test_a_journal_that_names_another_file_does_not_delete_it(tmp_path, run_file, linked):
    precious = tmp_path / "precious.txt"
    precious.write_text("mine\n")
    hot_journal(run_file, precious)
    path = run_file
    if linked:
        path = tmp_path / "linked.gs"
        path.symlink_to(run_file)
    refused(path, "was altered (its journal names another file)")
    with pytest.raises(RunFileError, match="names another file"):
        save_findings(path, [])
    assert precious.read_text() == "mine\n"


@pytest.mark.parametrize("companion", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda p: Path(p).symlink_to("elsewhere")])
def test_what_stands_beside_a_run_file_is_a_plain_file(run_file, companion, make):
    make(str(run_file) + companion)  # SQLite would wait at a pipe for ever
    refused(run_file, f"was altered ('a.gs{companion}' beside it is no plain file)")


def test_nothing_can_be_written_through_a_reader(run_file):
    with (
        pytest.raises(RunFileError, match="readonly database"),
        source.Source(run_file).reading() as connection,
    ):
        connection.execute("DELETE FROM frame")


@pytest.mark.parametrize("finish", [True, False])
def test_random_damage_never_crashes(tmp_path, finish):
    full_run(tmp_path / "a.gs", finish=finish)
    sound = (tmp_path / "a.gs").read_bytes()
    _, whole = read_everything(tmp_path / "a.gs")
    rng = random.Random(7)  # noqa: S311  # chance, not secrecy
    path = tmp_path / "b.gs"
    outcomes = {"refused": 0, "damaged": 0, "same": 0}
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(rng.choice([1, 1, 5, 100])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.1:
            start = rng.randrange(len(data))
            data[start : start + 4096] = bytes(len(data[start : start + 4096]))
        path.write_bytes(data)
        try:
            damaged, left = read_everything(path)
        except RunFileError:
            outcomes["refused"] += 1
            continue
        finally:
            for companion in ("-wal", "-shm", "-journal"):
                path.with_name("b.gs" + companion).unlink(missing_ok=True)
        outcomes["damaged" if damaged else "same"] += 1
        for key, found in left.items():
            if key in whole and len(found) == len(whole[key]):
                measured = ~np.isnan(found)
                np.testing.assert_array_equal(found[measured], whole[key][measured])
    assert all(outcomes.values()), outcomes


def test_writing_into_what_cannot_be_written(tmp_path, run_file):
    with pytest.raises(RunFileError, match="there is one of that name already, and a run is never"):
        Writer(run_file, INFO)
    (tmp_path / "file").touch()
    with pytest.raises(RunFileError, match=r"cannot be created: .* is no folder: give watch"):
        Writer(tmp_path / "file" / "a.gs", INFO)
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunFileError, match="cannot be created: there is one of that name already"):
        Writer(tmp_path / "folder", INFO)


READ_ONLY = """
import os, sys
from gainstage.errors import RunFileError
from gainstage.records import RunInfo
from gainstage.store import Writer
if os.getuid() == 0:
    os.setuid(65534)
try:
    Writer(sys.argv[1], RunInfo("a", 0.0))
except RunFileError as error:
    sys.exit(str(error))
"""


def test_read_only_folder(tmp_path):
    # not tmp_path itself: another user may not be able to look into it
    folder = Path("/proc/self") if os.path.isdir("/proc/self") else tmp_path  # noqa: PTH112
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(folder / "a.gs")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot be created: " in done.stderr
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.getuid():
        with pytest.raises(RunFileError, match="is read-only for this user: give watch"):
            Writer(folder / "a.gs", INFO)


@pytest.fixture
def small_disk(tmp_path):
    """A mounted file system of 3 MB; only root can have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],  # noqa: S607
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("cannot mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def write_until_refused(path):
    values = np.ones(5000, dtype=np.float32)
    writer = Writer(path, INFO, compact_every=16)
    writer.add(
        [Site(0, "run", "run", "", "", 0)], [Series(i, 0, f"q{i}") for i in range(len(values))]
    )
    with pytest.raises(RunFileError, match=r"cannot be written: .*(full|refused)"):  # noqa: PT012
        for step in range(1000):
            writer.write_frame(step, values * step, t=0.0)
            acknowledged = step
    return writer, acknowledged


def check_full(path, acknowledged):
    with StoredRecording(path) as run:
        assert len(run.steps) in (acknowledged + 1, acknowledged + 2)
        np.testing.assert_array_equal(run.values(run.sites[0], "q7"), run.steps)
        assert run.damaged == 0


def test_full_disk_keeps_what_was_written(small_disk):
    path = small_disk / "a.gs"
    writer, acknowledged = write_until_refused(path)
    check_full(path, acknowledged)
    with pytest.raises(RunFileError, match="full"):
        writer.write_frame(2000, np.ones(5000, dtype=np.float32), t=0.0)
    writer.close()
    check_full(path, acknowledged)


def test_limit_on_file_size_keeps_what_was_written(tmp_path):
    path = tmp_path / "a.gs"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        writer, acknowledged = write_until_refused(path)
        check_full(path, acknowledged)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.write_frame(2000, np.ones(5000, dtype=np.float32), t=0.0)  # there is room again
    writer.finish(INFO)
    assert StoredRecording(path).steps[-1] == 2000


def test_reading_from_a_read_only_disk(small_disk):
    full_run(small_disk / "finished.gs", finish=True)
    writer = Writer(small_disk / "killed.gs", INFO)
    writer.add_event(Event(0, "stopped"))
    for companion in ("", "-wal"):
        shutil.copy(small_disk / f"killed.gs{companion}", small_disk / f"copy.gs{companion}")
    writer.close()
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    damaged, values = read_everything(small_disk / "finished.gs")
    assert (damaged, len(values)) == (0, 6)
    refused(small_disk / "copy.gs", "cannot be read", "-wal file")
    runs = list_runs(small_disk)
    assert [bool(run.problem) for run in runs if run.path.name == "finished.gs"] == [False]
    with pytest.raises(RunFileError, match="is read-only for this user: give watch"):
        Writer(small_disk / "new.gs", INFO)
    with pytest.raises(RunFileError, match=r"cannot be written: .*readonly"):
        save_findings(small_disk / "finished.gs", [])


def test_failed_migration_leaves_nothing(monkeypatch):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    broken = (*schema.MIGRATIONS, "CREATE TABLE more (a);\nCREATE TABLE frame (a);")
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        schema.migrate(connection)
    assert schema.layout(connection) == frozenset()
    monkeypatch.setattr(schema, "MIGRATIONS", broken[:1])
    schema.migrate(connection)
    monkeypatch.setattr(schema, "MIGRATIONS", (broken[0], "CREATE TABLE more (a);"))
    schema.migrate(connection)
    assert {"frame", "more"} <= {name for name, _ in schema.layout(connection)}
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
