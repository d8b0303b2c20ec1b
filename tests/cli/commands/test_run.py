"""`gainstage run`: the script's streams and exit code are its own; ours is one line on stderr."""

from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [
        ("falls off the end", 0, "without importing torch"),
        ("exit 3", 3, "failed after 0 steps: sys.exit(3)."),
        ("interrupted", 130, "interrupted after 0 steps."),
    ],
)
def test_the_exit_code_is_the_scripts_own_and_the_rest_is_told(
    command, tmp_path, ending, code, told
):
    done = command("run", "--dir", tmp_path, SCRIPTS / "endings.py", ending)
    assert done.returncode == code
    assert done.stdout.startswith("begin\n")
    assert "gainstage" not in done.stdout
    assert done.stderr.splitlines()[-1].startswith("gainstage: ")
    assert told in done.stderr


def test_a_run_file_that_cannot_be_made_is_told_before_the_script_runs(command):
    done = command("run", "--dir", "/proc/nowhere", SCRIPTS / "endings.py", "exit 0")
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(line.startswith("gainstage: ") for line in done.stderr.splitlines())
    assert "cannot be created" in done.stderr


def test_a_module_that_cannot_be_run_says_so(command, tmp_path):
    done = command("run", "--dir", tmp_path, "-m", "package", cwd=SCRIPTS)
    assert done.returncode == 1
    assert "'package' is a package and cannot be directly executed" in done.stderr
