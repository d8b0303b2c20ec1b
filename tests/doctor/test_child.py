"""How a script that ends badly, or not at all, is told: by process, and by the table of endings."""

import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gainstage.doctor import Observation, observe
from gainstage.errors import ScriptError, UsageError
from gainstage.recording import MemoryRecording
from gainstage.records import RunInfo, Site
from gainstage.store import StoredRecording

SCRIPTS = Path(__file__).parents[1] / "scripts"
COMMAND = Path(sys.executable).with_name("gainstage")
LIMIT = 120
"""Seconds after which a child that hangs is ended."""

RUN = Site(0, "run", "run", "", "", 0)
INFO = RunInfo(id="a", started=0.0, status="finished", versions={"torch": "2"})


def recording(steps, info=INFO):
    return MemoryRecording([RUN], {(0, "loss"): [1.0] * steps}, info=info)


def loop(command, mode, folder, *options):
    """Run the endless training of loop.py, in a process group of its own."""
    options = ["--no-trial", *options] if command == "doctor" else options
    args = [COMMAND, command, "--dir", folder, *options, SCRIPTS / "loop.py", mode]
    return subprocess.Popen(
        [str(arg) for arg in args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell's background job ignores the interrupt, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def only_run(folder):
    (path,) = Path(folder).glob("*.gs")
    with StoredRecording(path) as run:
        return run.info, len(run.steps)


@pytest.mark.parametrize(
    ("info", "steps", "code", "told"),
    [
        (INFO, 3, 0, ""),
        (replace(INFO, status="stopped"), 3, 0, ""),
        (INFO, 0, 0, "ended without a training step"),
        (replace(INFO, versions={}), 0, 0, "ended without importing torch"),
        (replace(INFO, status="interrupted"), 3, -2, "was interrupted after 3 steps."),
        (replace(INFO, status="failed", outcome="E: a\nb"), 3, 1, "failed after 3 steps: E: a."),
        (replace(INFO, status="failed"), 3, 1, "failed after 3 steps: no reason given."),
        (replace(INFO, status="running"), 3, -9, "was killed (SIGKILL); the 3 steps so far"),
        (replace(INFO, status="running"), 3, 1, "was killed (exit code 1); the 3 steps"),
    ],
)
def test_each_ending_has_its_sentence(info, steps, code, told):
    problem = Observation(code, Path("a.gs"), recording(steps, info)).problem
    assert problem == told if told == "" else told in problem
    assert "\n" not in problem


def test_a_run_file_that_never_came_or_went_away_is_told():
    assert "(exit code 2) before it could be observed" in Observation(2, Path("a.gs"), None).problem
    gone = Observation(0, Path("a.gs"), None)
    assert "no run file 'a.gs' any more" in gone.problem
    assert "--dir" in gone.problem
    assert not gone.trained


def test_a_missing_script_is_told_with_names_like_it(tmp_path):
    for name in ("train.py", "trainer.py", "other.py"):
        (tmp_path / name).touch()
    with pytest.raises(ScriptError, match=r"no script '.*tarin\.py'\. Did you mean 'train\.py' or"):
        observe(str(tmp_path / "tarin.py"))
    with pytest.raises(ScriptError, match=r"In that folder there are: other\.py, train\.py, t"):
        observe(str(tmp_path / "zzz"))
    with pytest.raises(ScriptError, match=r"^There is no script '.*nowhere/x\.py'\.$"):
        observe(str(tmp_path / "nowhere" / "x.py"))


def test_a_folder_is_no_script(tmp_path):
    with pytest.raises(ScriptError, match=r"is a folder\. Name the python script"):
        observe(str(tmp_path))


def test_a_missing_module_is_told_and_its_package_is_not_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud").mkdir()
    (tmp_path / "loud" / "__init__.py").write_text("raise SystemExit('imported')")
    for name in ("loud.missing", "missing", "loud.__init__.x", ""):
        with pytest.raises(ScriptError, match=f"no module named '{re.escape(name)}'"):
            observe(name, module=True)
    assert "loud" not in sys.modules


@pytest.mark.parametrize(
    "limits", [{"steps": -1}, {"seconds": -0.5}, {"seconds": math.nan}, {"seconds": math.inf}]
)
def test_a_limit_that_makes_no_sense_is_refused(limits):
    (name,) = limits
    with pytest.raises(UsageError, match=rf"^{name} must be a number from 0"):
        observe("train.py", **limits)


def test_an_interrupt_keeps_the_run(tmp_path):
    with loop("doctor", "endless", tmp_path, "--no-report") as process:
        assert any(line == "step 10\n" for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    info, steps = only_run(tmp_path)
    assert process.returncode == 2
    assert info.status == "interrupted"
    assert steps >= 10
    assert f"The script was interrupted after {steps} steps." in out
    assert "finally" in out
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "gainstage" not in err.replace(str(SCRIPTS), "")


def test_a_request_to_terminate_reaches_the_script(tmp_path):
    with loop("run", "endless", tmp_path) as process:
        assert any(line == "step 10\n" for line in process.stdout)
        process.terminate()  # this process alone, as torchrun does
        process.communicate(timeout=LIMIT)  # ends only when the script has let go of its output
    assert process.returncode == 128 + signal.SIGTERM
    assert only_run(tmp_path)[0].status == "running"


def test_a_killed_script_leaves_a_readable_run(tmp_path):
    with loop("doctor", "killed", tmp_path, "--no-report") as process:
        out, err = process.communicate(timeout=LIMIT)
    info, steps = only_run(tmp_path)
    assert process.returncode == 2
    assert info.status == "running"
    assert 18 <= steps <= 20
    assert f"was killed (SIGKILL); the {steps} steps so far are kept" in out
    assert err == ""


def test_the_limit_in_seconds_ends_the_script_politely(tmp_path):
    with loop("run", "endless", tmp_path, "--seconds", "0.2") as process:
        out, err = process.communicate(timeout=LIMIT)
    info, steps = only_run(tmp_path)
    assert process.returncode == 0
    assert info.status == "stopped"
    assert 0 < steps < 100_000
    assert out.endswith("finally\n")
    assert f"gainstage: {steps} steps kept in" in err


def test_a_script_that_refuses_to_stop_is_ended(tmp_path):
    with loop("run", "refuses", tmp_path, "--steps", "5") as process:
        out, _ = process.communicate(timeout=LIMIT)
    info, steps = only_run(tmp_path)
    assert out.count("refused StopTraining") == 3
    assert "survived" not in out
    assert process.returncode == 0
    assert info.status == "stopped"
    assert "it was ended" in info.outcome
    assert steps >= 5
