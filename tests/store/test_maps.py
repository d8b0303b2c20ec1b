"""Maps in a run file: whole again, by name, beside everything else; and what is refused."""

import sqlite3

import pytest

from gainstage.errors import RunFileError
from gainstage.records import RunInfo
from gainstage.store import StoredRecording, Writer, load_map, map_names, save_map


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "one.gs"
    Writer(path, RunInfo(id="one", started=1.0)).close()
    return path


def test_maps_are_kept_by_name_and_the_newest_holds(path):
    assert map_names(path) == ()
    save_map(path, "plane", b"first")
    save_map(path, "line", b"\0\1")
    save_map(path, "plane", b"second")
    assert map_names(path) == ("line", "plane")
    assert load_map(path, "plane") == b"second"
    assert StoredRecording(path).info.id == "one"


def test_a_map_that_is_not_there_is_told_with_those_that_are(path):
    with pytest.raises(RunFileError, match=r"has no map 'plane'\. There are: none"):
        load_map(path, "plane")
    save_map(path, "line", b"x")
    with pytest.raises(RunFileError, match=r"There are: 'line'\."):
        load_map(path, "plane")


def test_a_map_that_was_altered_is_refused(path):
    save_map(path, "plane", b"data")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE map SET v = x'00'")
    connection.close()
    with pytest.raises(RunFileError, match="the map 'plane' is not what was written"):
        load_map(path, "plane")


def test_a_table_of_a_strangers_is_not_read(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIEW map AS SELECT 'plane' AS name, 0 AS crc, x'' AS v")
    connection.close()
    assert map_names(path) == ()
    with pytest.raises(RunFileError, match="cannot be written"):
        save_map(path, "plane", b"data")
