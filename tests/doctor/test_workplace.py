"""Copies of a script's folders: what is copied, what is linked, what a first run leaves."""

import os
import time
from pathlib import Path

import pytest

from gainstage.doctor import workplace
from gainstage.doctor.candidates import Patch
from gainstage.doctor.workplace import Workplace


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a script, a sibling, data beside it and above it; one works in it."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("train.py", "helper.py", "data/a.txt", "../above.txt", "runs.gs"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to("../above.txt")
    monkeypatch.chdir(folder)
    return folder


def names(folder):
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*")}


def later(*paths, seconds=60.0):
    """Write files as a training does that begins in a moment."""
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("later")
        os.utime(path, (time.time() + seconds,) * 2)


def test_a_trial_finds_the_folder_as_it_was_and_writes_to_its_own(project):
    with Workplace("train.py") as made:
        with made.place() as place:
            assert place.target == "train.py"
            found = names(place.folder)
            assert found == {"train.py", "helper.py", "data", "data/a.txt", "empty", "link"}
            assert (place.folder / ".." / "above.txt").read_text() == "../above.txt"
            assert (place.folder / "link").read_text() == "../above.txt"
            (place.folder / "train.py").write_text("overwritten")
            (place.folder / "empty" / "new").touch()
        with made.place() as place:
            assert (place.folder / "train.py").read_text() == "train.py"
        assert not place.folder.exists()
    assert names(project) == found | {"runs.gs"}
    assert (project / "train.py").read_text() == "train.py"


def test_an_absolute_script_is_called_where_it_is_copied(project, tmp_path, monkeypatch):
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    for target in (str(project / "train.py"), "../project/train.py"):
        with Workplace(target) as made, made.place() as place:
            called = place.folder / place.target
            assert called.resolve() != (project / "train.py").resolve()
            assert called.read_text() == "train.py"
            assert (called.parent / "helper.py").exists()
            assert place.folder.name == "elsewhere"


@pytest.mark.usefixtures("project")
def test_a_module_keeps_its_name():
    with Workplace("package.train", module=True) as made, made.place() as place:
        assert place.target == "package.train"
        assert (place.folder / "helper.py").exists()


def test_large_files_are_copied_as_far_as_that_goes_and_large_folders_linked(project, monkeypatch):
    monkeypatch.setattr(workplace, "LARGE", 100)
    monkeypatch.setattr(workplace, "MANY", 5)
    monkeypatch.setattr(workplace, "MOST_LARGE", 300)
    for name, size in (("best.pt", 101), ("last.pt", 102), ("a.bin", 200)):
        (project / name).write_bytes(bytes(size))
    (project / "images").mkdir()
    for i in range(6):
        (project / "images" / str(i)).touch()
    with Workplace("train.py") as made:
        assert made.linked == ("a.bin", "images")
        made.settle(time.time())
        assert made.told == ""
        with made.place() as place:
            (place.folder / "best.pt").write_bytes(b"a trial's")
            assert not (place.folder / "last.pt").is_symlink()
            assert (place.folder / "a.bin").readlink() == project / "a.bin"
            assert (place.folder / "images").readlink() == project / "images"
            assert not (place.folder / "data").is_symlink()
        assert (project / "best.pt").read_bytes() == bytes(101)
        assert made.written() == ()
        (project / "images" / "6").touch()
        assert made.written() == ("images",)


def test_a_large_file_is_found_as_it_was(project, monkeypatch):
    monkeypatch.setattr(workplace, "LARGE", 100)
    (project / "model.pt").write_bytes(bytes(101))
    with Workplace("train.py") as made:
        (project / "model.pt").write_bytes(bytes(102))
        later(project / "download.bin", seconds=0)
        (project / "download.bin").write_bytes(bytes(103))
        made.settle(time.time() + 1)
        with made.place() as place:
            assert (place.folder / "model.pt").stat().st_size == 101
            assert (place.folder / "download.bin").stat().st_size == 103


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_linked_and_is_gone_after_the_first_run_is_gone_for_trials(
    project, monkeypatch, kind
):
    monkeypatch.setattr(workplace, "LARGE", 100)
    monkeypatch.setattr(workplace, "MOST_LARGE", 100)
    monkeypatch.setattr(workplace, "MANY", 5)
    path = project / "cache"
    if kind == "file":
        path.write_bytes(bytes(101))
    else:
        path.mkdir()
        for i in range(6):
            (path / str(i)).touch()
    with Workplace("train.py") as made:
        assert made.linked == ("cache",)
        path.rename(project.parent / "elsewhere")
        made.settle(time.time())
        assert made.told == ""
        with made.place() as place:
            assert not os.path.lexists(place.folder / "cache")


def test_a_large_folder_that_is_written_to_has_trials_run_in_place(project, monkeypatch):
    monkeypatch.setattr(workplace, "MANY", 5)
    (project / "checkpoints").mkdir()
    for i in range(6):
        (project / "checkpoints" / str(i)).touch()
    with Workplace("train.py") as made:
        later(project / "checkpoints" / "7")
        made.settle(time.time())
        assert made.told == "it writes into 'checkpoints', which is too large to copy"
        with made.place() as place:
            assert (place.folder, place.target) == (project, "train.py")
        assert project.exists()


def test_what_was_made_before_the_first_step_is_kept_and_what_training_wrote_is_not(project):
    with Workplace("train.py") as made:
        later(project / "download" / "a.bin", project / "helper.pyc", seconds=0)
        later(project / "out" / "model.pt", project / "data" / "log.txt")
        later(project / "data" / "a.txt")  # there before: as it was found
        made.settle(time.time() + 1)
        with made.place() as place:
            found = names(place.folder)
            assert (place.folder / "data" / "a.txt").read_text() == "data/a.txt"
    assert {"download", "download/a.bin", "helper.pyc"} <= found
    assert not {"out", "out/model.pt", "data/log.txt"} & found


def test_a_folder_that_is_too_large_to_copy_is_told(project, monkeypatch):
    monkeypatch.setattr(workplace, "MOST_FILES", 2)
    with Workplace("train.py") as made, made.place() as place:
        assert made.told == "the working directory is too large to copy (3 files, 0 MB)"
        assert place.folder == project


@pytest.mark.usefixtures("project")
def test_a_disk_that_refuses_is_told(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workplace.shutil, "copy2", full)
    with Workplace("train.py") as made:
        assert made.told.endswith("cannot be copied ([Errno 28] No space left on device)")


def test_a_trial_may_have_another_version_of_a_file_that_is_copied(project):
    patch = Patch(str(project / "train.py"), "new\r\n")
    with Workplace("train.py") as made:
        assert made.holds(patch.file)
        assert not made.holds(str(project / "no.py"))
        assert not made.holds(str(project.parent / "above.txt"))  # linked
        with made.place(patch) as place:
            assert (place.folder / "train.py").read_bytes() == b"new\r\n"
        with made.place() as place:
            assert (place.folder / "train.py").read_text() == "train.py"
    assert (project / "train.py").read_text() == "train.py"
