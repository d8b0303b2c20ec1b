"""A script run again as a trial: however it ends, there is an outcome."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gainstage.doctor import laboratory
from gainstage.doctor.candidates import Change
from gainstage.doctor.laboratory import Laboratory, Trial
from gainstage.doctor.workplace import Workplace

UNCHANGED = Trial((), 0)
SCRIPT = """\
import sys, time
import torch
print("told")
w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
for step in range(12):
    loss = (w * w).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 5 and "raises" in sys.argv:
        raise ValueError("boom")
    if step == 5 and "hangs" in sys.argv:
        time.sleep(600)
    if step == 5 and "asks" in sys.argv:
        input()
"""


@pytest.fixture
def run(tmp_path, capfd):
    """Make the trials of a script that is called with some arguments; nothing is printed."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def run(*args, trials=(UNCHANGED,), steps=10, given=b""):
        with Workplace(str(script)) as place:
            place.input.write_bytes(given)
            made = Laboratory(place, args, steps=steps, seconds=1.0, jobs=2)
            outcomes = made.run(trials)
        assert capfd.readouterr() == ("", "")
        return outcomes

    return run


def test_a_trial_is_as_long_as_the_observed_run(run):
    (outcome,) = run()
    assert outcome.told == ""
    assert outcome.progress.steps == 10
    assert outcome.seconds > 0
    assert 0 < outcome.loss < 1


def test_trials_side_by_side_come_back_in_order(run):
    slow = Trial((Change.of("scale-learning-rate", factor=0.01),), 0)
    fast = Trial((Change.of("scale-learning-rate", factor=4.0),), 0)
    losses = [outcome.loss for outcome in run(trials=[slow, fast, slow])]
    assert losses[0] == losses[2] > losses[1]


@pytest.mark.parametrize(("how", "told"), [("raises", "ValueError: boom"), ("asks", "EOFError")])
def test_a_script_that_raises_is_a_result(run, how, told):
    (outcome,) = run(how)
    assert told in outcome.told
    assert outcome.progress.steps == 6


def test_an_unknown_change_is_a_result_too(run):
    (outcome,) = run(trials=[Trial((Change.of("no-such-thing"),), 0)])
    assert "no-such-thing" in outcome.told
    assert outcome.loss is None


def test_a_script_that_hangs_is_ended(run, monkeypatch):
    monkeypatch.setattr(laboratory, "_GRACE", 8.0)
    monkeypatch.setattr(laboratory, "_PATIENCE", 1.0)
    (outcome,) = run("hangs")
    assert "took too long" in outcome.told


def test_processors_are_shared_out_unless_the_user_has_said_how(monkeypatch):
    made = Laboratory(None, steps=1, seconds=1.0, jobs=10_000)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert made._environment(Path("/x"))["OMP_NUM_THREADS"] == "1"
    assert made._environment(Path("/x")).get("PWD") == "/x"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert made._environment(Path("/x"))["OMP_NUM_THREADS"] == "3"


def test_a_recording_of_nothing_has_no_loss():
    from gainstage.recording import MemoryRecording
    from gainstage.records import Site

    run = MemoryRecording([Site(0, "run", "run", "", "", 0)], {(0, "loss"): [np.nan]})
    assert laboratory.outcome_of(run).loss is None


def test_the_curve_of_a_run_is_thinned_out():
    from gainstage.recording import MemoryRecording
    from gainstage.records import Site

    loss = np.arange(1000.0)
    loss[500] = np.nan
    run = MemoryRecording([Site(0, "run", "run", "", "", 0)], {(0, "loss"): loss})
    curve = laboratory.outcome_of(run).curve
    assert len(curve) == 100
    assert curve[0] == (9, 4.5)
    assert np.isnan(curve[50][1])


def test_trials_are_given_what_the_first_run_read(run):
    (outcome,) = run("asks", given=b"an answer\n")
    assert outcome.told == ""


def test_what_cannot_be_copied_is_a_result_too(run, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gainstage.doctor.workplace.shutil.copytree", full)
    (outcome,) = run()
    assert outcome.told == "it could not be run ([Errno 28] No space left on device)"


@pytest.fixture
def not_under_nohup():
    """A hangup is heard, whatever the tests were begun under."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("not_under_nohup")
@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_an_interrupt_ends_the_runs_and_keeps_what_is_done(tmp_path, monkeypatch, name):
    number = getattr(signal, name)
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    done = threading.Event()
    outcome = laboratory._outcome

    def seen(*args):
        done.set()
        return outcome(*args)

    def interrupt():
        done.wait()
        time.sleep(1.0)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(laboratory, "_outcome", seen)
    handler = signal.getsignal(number)
    with Workplace(str(script)) as place:
        made = Laboratory(place, ("hangs",), steps=4, seconds=1.0, jobs=1)
        more = Laboratory(place, ("hangs",), steps=100, seconds=1.0, jobs=1)
        threading.Thread(target=interrupt, daemon=True).start()
        assert [one.told for one in made.run([UNCHANGED])] == [""]
        assert more.run([UNCHANGED, UNCHANGED]) == [None, None]
    assert (made.interrupted, more.interrupted) == (False, True)
    assert signal.getsignal(number) is handler
