"""The runs of a folder, found anew at each question."""

from __future__ import annotations

import os
import shutil
import threading

import pytest

from gainstage.errors import RunFileError
from gainstage.render.live import shelf as shelf_module
from gainstage.render.live.shelf import MOST_OPEN, Shelf, quiet


@pytest.fixture
def place(tmp_path, write_run):
    write_run(tmp_path / "a.gs", steps=5)
    write_run(tmp_path / "b.gs", steps=7)
    return tmp_path


def test_runs_are_listed_and_what_is_broken_comes_last(place):
    (place / "c.gs").write_text("no run")
    listed = Shelf(place).listed()
    assert [run.name for run in listed] == ["b", "a", "c"]
    assert [run.steps for run in listed] == [7, 5, 0]
    assert (listed[1].first, listed[1].last) == (2.0, 0.4)
    assert listed[0].curve[0] == 2.0
    assert (listed[2].status, listed[2].curve) == ("unreadable", ())
    assert "cannot be read" in listed[2].problem


def test_a_run_that_appears_is_found_and_one_that_goes_is_gone(place, write_run):
    shelf = Shelf(place)
    write_run(place / "d.gs")
    assert "d" in shelf.find()
    (place / "d.gs").unlink()
    with pytest.raises(RunFileError, match="no run called 'd' here"):
        shelf.path("d")
    assert "d" not in [run.name for run in shelf.listed()]


def test_what_lies_outside_is_not_found_whichever_part_of_the_way_is_a_link(place, write_run):
    inside = place / "inside"
    inside.mkdir()
    write_run(place / "away" / "rank0.gs", steps=5)
    write_run(inside / "here" / "rank0.gs", steps=5)
    (inside / "one").mkdir()
    (inside / "one" / "rank0.gs").symlink_to(place / "a.gs")
    (inside / "half").mkdir()
    write_run(inside / "half" / "rank0.gs", steps=5)
    (inside / "half" / "rank1.gs").symlink_to(place / "a.gs")
    (inside / "folder").symlink_to(place / "away")
    (inside / "file.gs").symlink_to(place / "a.gs")
    (inside / "other.gs").symlink_to(inside / "here" / "rank0.gs")
    (inside / "itself.gs").symlink_to(inside / "itself.gs")
    (inside / "nowhere.gs").symlink_to(place / "nowhere")
    assert list(Shelf(inside).find()) == ["other", "itself", "here"]
    (place / "link").symlink_to(inside)
    assert list(Shelf(place / "link").find()) == ["other", "itself", "here"]
    assert [run.status for run in Shelf(inside).listed()] == ["finished"] * 2 + ["unreadable"]


def test_a_missing_folder_is_empty(tmp_path):
    shelf = Shelf(tmp_path / "later")
    assert shelf.listed() == []
    assert shelf.find() == {}


def test_a_folder_that_vanishes_with_the_one_that_it_is_looked_for_from_is_empty(
    tmp_path, write_run, monkeypatch
):
    here = tmp_path / "here"
    write_run(here / "runs" / "a.gs", steps=1)
    monkeypatch.chdir(here)
    shelf = Shelf("runs")
    assert len(shelf.listed()) == 1
    shutil.rmtree(here)
    assert shelf.listed() == []
    with pytest.raises(RunFileError, match="moved or deleted"):
        shelf.path("a")


def test_a_glance_is_kept_until_something_is_written(place, monkeypatch):
    shelf = Shelf(place)
    shelf.listed()
    monkeypatch.setattr("gainstage.render.live.shelf._look", lambda *_: pytest.fail("read again"))
    assert len(shelf.listed()) == 2


def test_a_run_is_read_anew_only_if_something_may_have_been_written(place):
    for path in place.glob("*.gs"):
        os.utime(path, (1e9, 1e9))  # nothing for a long time
    shelf, looks = Shelf(place), []

    def counted(run):
        refresh = type(run).refresh
        return lambda: (looks.append(run.path.stem), refresh(run))

    with shelf.reading("a") as run:
        run.refresh = counted(run)
    with shelf.reading("a"):
        assert looks == []
    os.utime(place / "a.gs")  # a moment ago: another writing might bear the same time
    for times in (1, 2):
        with shelf.reading("a"):
            assert looks == ["a"] * times


def test_two_who_ask_for_the_list_at_the_same_time_have_each_run_read_once(place, monkeypatch):
    shelf, read, never = Shelf(place), [], threading.Event()
    look = shelf_module._look

    def slow(name, *rest):
        read.append(name)
        never.wait(0.5 if len(read) == 1 else 0.0)  # the other one would read it meanwhile
        return look(name, *rest)

    monkeypatch.setattr(shelf_module, "_look", slow)
    listed = []
    threads = [threading.Thread(target=lambda: listed.append(shelf.listed())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(read) == ["a", "b"]
    assert [len(runs) for runs in listed] == [2, 2]


def test_another_file_of_the_same_name_is_opened_anew(place, write_run):
    shelf = Shelf(place)
    with shelf.reading("a") as run:
        assert len(run.steps) == 5
    write_run(place / "new.gs", steps=9)
    (place / "new.gs").replace(place / "a.gs")
    with shelf.reading("a") as run:
        assert len(run.steps) == 9


def test_few_runs_are_kept_open(tmp_path, write_run):
    for i in range(MOST_OPEN + 3):
        write_run(tmp_path / f"run{i}.gs", steps=2)
    shelf = Shelf(tmp_path)
    for name in shelf.find():
        with shelf.reading(name) as run:
            assert len(run.steps) == 2
    assert len(shelf._open) == MOST_OPEN
    shelf.close()
    assert not shelf._open


def test_two_readers_of_the_same_two_runs_do_not_wait_for_each_other_for_ever(place):
    shelf = Shelf(place)
    seen = []

    def read(first, second):
        for _ in range(30):
            with shelf.reading_both(first, second) as (one, two):
                seen.append((len(one.steps), len(two.steps)))

    threads = [threading.Thread(target=read, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert set(seen) == {(5, 7), (7, 5)}
    with shelf.reading_both("a", "a") as (one, two):
        assert one is two


def test_the_signature_changes_with_each_step(tmp_path, write_run):
    from gainstage.records import Event

    writer = write_run(tmp_path / "a.gs", steps=3, finish=False)
    shelf = Shelf(tmp_path)
    before = shelf.signature("a")
    writer.add_event(Event(2, "tick"))
    assert shelf.signature("a") != before
    assert quiet(shelf.signature("a")) < 60
    os.utime(tmp_path / "a.gs", (1e9, 1e9))
    os.utime(tmp_path / "a.gs-wal", (1e9, 1e9))
    assert quiet(shelf.signature("a")) > 1e6
    writer.close()
