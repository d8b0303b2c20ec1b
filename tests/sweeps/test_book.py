"""The file of a sweep: what is in it is found again, and nothing else is read for one."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys

import pytest

from gainstage.errors import RunFileError, UsageError
from gainstage.sweeps.book import Book
from gainstage.sweeps.trials import Task, Trial

POINT = (("lr", 0.1), ("init", "kaiming_normal"))
ABOUT = {"what": "train.py", "args": []}
TRIALS = [
    Trial(POINT, 0, 100, 0.25, ((0, 2.3), (99, 0.25)), seconds=1.5, attempts=2, chance=2.3),
    Trial(POINT, 1, 100, math.inf, ((0, 2.3), (1, math.nan), (2, math.inf)), "it diverged"),
]


def same(a, b):
    return repr(a) == repr(b)  # NaN is not itself


def test_trials_are_found_again(tmp_path):
    with Book(tmp_path / "a" / "one.sweep", ABOUT) as book:
        for trial in TRIALS:
            book.keep(trial)
    with Book(tmp_path / "a" / "one.sweep", ABOUT) as book:
        assert len(book) == 2
        for trial in TRIALS:
            assert same(book.found(trial.task), trial)
        assert book.found(Task(POINT, 2, 100)) is None
        assert book.found(Task(POINT, 0, 300)) is None


def test_what_is_kept_survives_a_kill(tmp_path):
    code = (
        "import os, signal\n"
        "from gainstage.sweeps.book import Book\n"
        "from gainstage.sweeps.trials import Trial\n"
        f"book = Book({str(tmp_path / 'one.sweep')!r}, {ABOUT!r})\n"
        f"book.keep(Trial({POINT!r}, 0, 100, 0.5))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -9
    with Book(tmp_path / "one.sweep", ABOUT) as book:
        assert book.found(Task(POINT, 0, 100)).loss == 0.5


def test_the_file_of_another_sweep_is_refused(tmp_path):
    Book(tmp_path / "one.sweep", ABOUT).__exit__(None, None, None)
    with pytest.raises(UsageError, match=r"holds a sweep of something else .* --store"):
        Book(tmp_path / "one.sweep", {"what": "other.py"})


def test_what_is_no_file_of_a_sweep_is_refused(tmp_path):
    (tmp_path / "text").write_text("not a database at all " * 100)
    with pytest.raises(RunFileError, match="cannot be used: file is not a database"):
        Book(tmp_path / "text", ABOUT)
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(RunFileError, match="is no file of a sweep"):
        Book(tmp_path / "other", ABOUT)


def test_without_a_file_it_is_in_memory():
    with Book(None, ABOUT) as book:
        book.keep(TRIALS[0])
        assert same(book.found(TRIALS[0].task), TRIALS[0])
