"""What was acknowledged survives kill -9, and a reader beside it never errs."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gainstage.sketch.histogram import BINS
from gainstage.store import StoredRecording

SCRIPT = Path(__file__).with_name("endless_run.py")


class Poller(threading.Thread):
    """Reads the run over and over; keeps the first thing that is wrong."""

    def __init__(self, path):
        super().__init__()
        self.path, self.wrong, self.polls = path, None, 0
        self.enough = threading.Event()

    def run(self):
        try:
            run, last = StoredRecording(self.path), -1
            while not self.enough.is_set():
                if self.polls % 10 == 9:
                    run = StoredRecording(self.path)
                check_numbers(run)
                assert run.steps[-1] >= last
                last = run.steps[-1]
                run.refresh()
                self.polls += 1
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test shows it
            self.wrong = error


def check_numbers(run):
    """Every step there is, up to the last, with the values that endless_run.py gave it."""
    steps = run.steps
    np.testing.assert_array_equal(steps, np.arange(len(steps)))
    for site in random.sample(run.sites, min(2, len(run.sites))):
        for quantity in ("q0", "q4"):
            found = run.values(site, quantity)
            expected = (steps + site.id * 5 + int(quantity[1])).astype(np.float32)
            expected[: site.id * 40] = np.nan
            np.testing.assert_array_equal(found, expected)
    assert run.damaged == 0


def check_histograms(run):
    counts = run.histogram(run.sites[0]).counts
    covered = int(counts.sum())
    np.testing.assert_array_equal(
        counts, np.bincount(np.arange(covered) % BINS, minlength=BINS)
    )  # the first `covered` steps, each once
    age = len(run.steps)
    assert age - covered <= (0 if age <= 100 else 10 if age <= 1000 else 100)


def kill_once(path, seed):
    """Start a run, kill it at a random moment, check what is left; returns steps and polls."""
    rng = random.Random(seed)  # noqa: S311  # chance, not secrecy
    compact_every = rng.choice([1, 3, 16, 64, 512])
    finish_after = rng.choice([10**9, 10**9, rng.randrange(30, 3000)])
    command = [sys.executable, str(SCRIPT), str(path), str(compact_every), str(finish_after)]
    poller = Poller(path)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        acknowledged = child.stdout.read(8)
        assert len(acknowledged) == 8, "the run did not start"
        poller.start()
        killer = threading.Timer(rng.uniform(0.0, 0.4), child.send_signal, [signal.SIGKILL])
        killer.start()
        acknowledged += child.stdout.read()  # until the child is gone
    killer.cancel()
    steps = np.frombuffer(acknowledged[: len(acknowledged) // 8 * 8], dtype="<i8")
    poller.enough.set()
    poller.join()
    assert poller.wrong is None, poller.wrong
    with StoredRecording(path) as run:
        assert len(run.steps) > steps.max(), "an acknowledged step is lost"
        assert len(run.steps) <= steps.max() + 2, "a step is there that was never written"
        check_numbers(run)
        check_histograms(run)
        assert [event.step for event in run.events][: len(run.steps)] == [
            *range(0, len(run.events) * 17, 17)
        ]
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    return len(steps), poller.polls


def kill_often(folder, seeds):
    started = time.perf_counter()
    done = [kill_once(folder / f"{seed}.gs", seed) for seed in seeds]
    steps, polls = (sum(column) for column in zip(*done, strict=True))
    print(f"{len(done)} kills, {steps} steps, {polls} polls, {time.perf_counter() - started:.0f} s")  # noqa: T201
    assert polls


def test_twenty_kills(tmp_path):
    kill_often(tmp_path, range(20))


@pytest.mark.slow
def test_two_hundred_kills(tmp_path):
    kill_often(tmp_path, range(1000, 1200))
