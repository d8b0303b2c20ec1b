"""Sweeps of a function: all combinations, resumed, halved, and with a worker killed."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
from pathlib import Path

import pytest

import gainstage as gs
from gainstage.errors import UsageError
from gainstage.sweeps.book import Book

SPACE = {"lr": "0.01..10:4", "width": [1, 2]}


def test_the_best_rate_of_a_parabola_is_found(tasks):
    found = gs.sweep(tasks.bowl, {"lr": [0.1, 0.5, 2.0]}, seeds=2, jobs=2)
    assert dict(found.best.row.point) == {"lr": 0.5}
    assert len(found.trials) == 6
    assert found.best.row.trials[1].curve[0] == (0, pytest.approx(1.21 + 1e-3))
    assert found.row(lr=2.0).mean > 1e6


def test_a_sweep_that_was_interrupted_goes_on_where_it_was(tmp_path):
    calls, store, again = tmp_path / "calls", tmp_path / "a.sweep", tmp_path / "again"
    calls.touch()

    def kept():
        with contextlib.closing(sqlite3.connect(store, timeout=30)) as connection:
            return connection.execute("SELECT count(*) FROM trial").fetchone()[0]

    def fn(lr, seed):
        if lr > 1 and seed and not again.exists():
            while kept() < 5:  # all the others have ended
                time.sleep(0.05)
            raise KeyboardInterrupt
        with calls.open("a") as file:
            file.write("x")
        return (lr - 1) ** 2 + seed

    options = {"seeds": 2, "jobs": 1, "store": store}
    with pytest.raises(KeyboardInterrupt):
        gs.sweep(fn, {"lr": [0.5, 1.0, 2.0]}, **options)
    assert len(calls.read_text()) == 5
    again.touch()
    found = gs.sweep(fn, {"lr": [0.5, 1.0, 2.0]}, **options)
    assert len(calls.read_text()) == 6
    assert dict(found.best.row.point) == {"lr": 1.0}
    gs.sweep(fn, {"lr": [0.5, 1.0, 2.0]}, **options)
    assert len(calls.read_text()) == 6


def test_halving_ends_what_does_badly(tasks, tmp_path):
    options = {"seeds": 2, "jobs": 2, "steps": 90, "halving": 3}
    found = gs.sweep(tasks.bowl, {"lr": "0.001..10:18"}, store=tmp_path / "a.sweep", **options)
    whole = gs.sweep(tasks.bowl, {"lr": "0.001..10:18"}, **{**options, "halving": 1})
    assert sorted({trial.steps for trial in found.trials}) == [10, 30, 90]
    assert [sum(t.steps == n for t in found.trials) for n in (10, 30, 90)] == [36, 12, 4]
    assert found.best.row.mean == pytest.approx(whole.best.row.mean, abs=1e-9)
    spent = [sum(trial.steps for trial in one.trials) for one in (found, whole)]
    assert spent[0] < spent[1] / 2
    with Book(tmp_path / "a.sweep", {"what": "bowl"}) as book:
        assert len(book) == 52


def test_what_a_training_raises_is_a_failed_trial():
    def fn(lr, seed):
        return 1 / (lr - 1) if seed else lr

    found = gs.sweep(fn, {"lr": [1, 2]}, seeds=2, jobs=1)
    assert found.row(lr=1).failed == "ZeroDivisionError: division by zero"
    assert found.row(lr=1).mean == math.inf
    assert dict(found.best.row.point) == {"lr": 2}


@pytest.mark.filterwarnings("ignore:.*worker.*:UserWarning")
def test_a_killed_worker_is_retried(tasks, tmp_path):
    killed = tasks.KilledOnce(tmp_path, {3.0})

    def fn(lr, seed):
        return killed(lr) + seed

    found = gs.sweep(fn, {"lr": [1.0, 2.0, 3.0]}, seeds=2, jobs=2)
    assert all(row.mean == dict(row.point)["lr"] ** 2 + 0.5 for row in found.rows)
    assert max(trial.attempts for trial in found.trials) > 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same_results(tasks, monkeypatch):
    path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))  # Ray pickles by name
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    try:
        there = gs.sweep(tasks.bowl, SPACE, seeds=2, jobs=2, backend="ray")
    finally:
        ray.shutdown()
    here = gs.sweep(tasks.bowl, SPACE, seeds=2, jobs=2)
    assert sorted(map(repr, there.trials)) == sorted(map(repr, here.trials))


def test_printing_it_gives_the_table(tasks):
    text = str(gs.sweep(tasks.bowl, SPACE, seeds=2, jobs=2))
    assert "best    lr=" in text
    assert "loss by width and lr" in text


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: gs.sweep("train.py", {"lr": [1]}), "sweep needs a function, but got str"),
        (
            lambda: gs.sweep(lambda lr: lr, {"lr": [1]}),
            "takes no 'seed'; it is called with lr",
        ),
        (lambda: gs.sweep(lambda seed: seed, {"lr": [1]}), "takes no 'lr'"),
        (lambda: gs.sweep(lambda lr, seed: lr, {"lr": [1]}, steps=5), "takes no 'steps'"),
        (lambda: gs.sweep(lambda lr, seed, x: lr, {"lr": [1]}), "needs 'x', which is neither"),
        (
            lambda: gs.sweep(lambda lr, seed: lr, {"lr": [1]}, seeds=0),
            "seeds must be a whole",
        ),
        (
            lambda: gs.sweep(lambda lr, seed: lr, {"lr": [1]}, halving=3),
            "Halving shortens",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()
