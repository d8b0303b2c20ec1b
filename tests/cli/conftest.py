"""The command line called within this process, and a folder with a stored run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gainstage.cli import gainstage
from gainstage.records import Finding, RunInfo, Series, Site
from gainstage.store import Writer, save_findings

COMMAND = Path(sys.executable).with_name("gainstage")
LOSS = [2.3, 2.2, 2.0, 1.7, 1.5]
STARTED = 1.0e9


def call(*args):
    """What a command gives: exit_code, stdout, stderr; anything but an exit is raised."""
    result = CliRunner().invoke(gainstage, [str(arg) for arg in args], prog_name="gainstage")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def start(*args, **options):
    """What a command gives in a process of its own: returncode, stdout, stderr."""
    env = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    return subprocess.run(
        [str(part) for part in (COMMAND, *args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=env,
        **options,
    )


def write_run(path, *, started=STARTED, script="train.py", loss=LOSS):
    info = RunInfo(id=path.stem, started=started, script=script, status="finished")
    stage = Site(1, "layers.0", "output", "layers.0", "Linear", 0, (8, 4))
    with Writer(path, info) as writer:
        writer.add(
            [Site(0, "run", "run", "", "", 0), stage],
            [Series(0, 0, "loss"), Series(1, 1, "rms")],
        )
        for step, value in enumerate(loss):
            writer.write_frame(step, np.array([value, 1.0], dtype=np.float32), t=float(step))
        writer.finish(info)
    return path


@pytest.fixture
def cli():
    return call


@pytest.fixture
def command():
    return start


@pytest.fixture
def command_path():
    return str(COMMAND)


@pytest.fixture
def store():
    return write_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder with an older run, a newer one with a finding, and a damaged file."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "2026-01-01-aaaa.gs", script="/home/me/a_rather_long_name_of_a_script.py")
    newer = write_run(folder / "2026-01-02-bbbb.gs", started=STARTED + 86400)
    found = Finding("dead-units", "error", 0.9, "layers.0", 2, "All units are zero.", rank=1)
    save_findings(newer, (found,))
    (folder / "2026-01-03-cccc.gs").write_text("not a run at all " * 100)
    os.utime(folder / "2026-01-03-cccc.gs", (STARTED, STARTED))
    return folder
