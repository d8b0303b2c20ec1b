import os
import random

import pytest

from gainstage.errors import RunFileError
from gainstage.records import Finding, RunInfo, Series, Site
from gainstage.store import Writer, find_run, list_runs, new_run_path


@pytest.fixture
def folder(tmp_path):
    """Three runs, the middle one damaged; the youngest is not the last by name."""
    for name, started in (("2026-11-21-beef", 3.0e9), ("2026-11-22-a1b2", 1.0e9)):
        with Writer(tmp_path / f"{name}.gs", RunInfo(name, started)) as writer:
            writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
            for step, loss in enumerate((2.5, 1.5, float("nan"))):
                writer.write_frame(step, [loss], t=0.0)
            writer.set_findings([Finding("dead-units", "error", 1.0, "", 0, "m")])
            writer.finish(RunInfo(name, started, status="finished"))
    (tmp_path / "2026-11-22-dead.gs").write_bytes(b"junk" * 2000)
    os.utime(tmp_path / "2026-11-22-dead.gs", (2.0e9, 2.0e9))
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_runs_are_listed_newest_first(folder):
    first, second, third = list_runs(folder)
    assert [run.path.stem[-4:] for run in (first, second, third)] == ["beef", "dead", "a1b2"]
    assert (first.steps, first.last_loss, first.findings, first.problem) == (3, 1.5, 1, "")
    assert first.info.status == "finished"
    assert second.info is None
    assert "file is not a database" in second.problem
    assert list_runs(folder / "none") == []


def test_run_without_a_loss_is_listed(tmp_path):
    Writer(tmp_path / "a.gs", RunInfo("a", 0.0)).close()
    (run,) = list_runs(tmp_path)
    assert (run.steps, run.last_loss, run.problem) == (0, None, "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-11-22-a1b2", "2026-11-22-a1b2"),
        ("2026-11-22-a", "2026-11-22-a1b2"),
        ("a1", "2026-11-22-a1b2"),
        ("2026-11-21", "2026-11-21-beef"),
        ("2026-11-22-dead.gs", "2026-11-22-dead"),
        ("latest", "2026-11-21-beef"),
        ("last", "2026-11-21-beef"),
    ],
)
def test_run_is_found(folder, text, name):
    assert find_run(folder, text) == folder / f"{name}.gs"
    assert find_run("elsewhere", str(folder / f"{name}.gs")) == folder / f"{name}.gs"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026", "'2026' may be any of these runs: 2026-11-22-dead, 2026-11-22-a1b2, 2026-11-21"),
        ("ffff", "is called 'ffff'. There are: 2026-11-22-dead, 2026-11-22-a1b2, 2026-11-21-beef."),
        ("", "is called ''"),
        ("no/a.gs", "There is no run file 'no/a.gs'"),
        ("../a1b2", "There is no run file '../a1b2'"),
    ],
)
def test_unclear_run_is_refused(folder, text, message):
    with pytest.raises(RunFileError) as caught:
        find_run(folder, text)
    assert message in str(caught.value)
    assert "find_run" not in str(caught.value)


def test_empty_folder(tmp_path):
    with pytest.raises(RunFileError, match="There are no runs in"):
        find_run(tmp_path, "latest")


def test_many_runs_are_not_all_named(tmp_path):
    for number in range(12):
        (tmp_path / f"run-{number:02}.gs").touch()
    with pytest.raises(RunFileError, match=r"run-11, .*, run-04, and 4 more"):
        find_run(tmp_path, "x")


def test_new_names_are_unique_and_leave_the_generator_alone(tmp_path):
    state = random.getstate()
    names = set()
    for _ in range(50):
        path = new_run_path(tmp_path, now=1.0e9)
        path.touch()
        names.add(path.name)
    assert len(names) == 50
    assert random.getstate() == state
    assert all(name.startswith("2001-09-09-") and name.endswith(".gs") for name in names)
    assert {len(name) for name in names} == {len("2001-09-09-a1b2.gs")}
    assert new_run_path(tmp_path / "none").parent == tmp_path / "none"
