"""A script run under observation behaves as it does under plain python, whatever it does.

Each comparison starts two processes, `python script` and `gainstage run script`, and holds their
output and exit codes against each other: stdout to the byte, and stderr but for our own lines.
"""

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from itertools import pairwise
from pathlib import Path

import pytest

from gainstage.probe.importing import TorchImport
from gainstage.probe.tracebacks import users_traceback, without_our_frames

SCRIPTS = Path(__file__).parents[1] / "scripts"
COMMAND = Path(sys.executable).with_name("gainstage")
LIMIT = 120
"""Seconds after which a child that hangs is ended."""

ENDINGS = [
    "falls off the end",
    "exit 0",
    "exit 3",
    "exit None",
    "exit text",
    "exit odd",
    "chained",
    "own hook",
    "interrupted",
    "same name",
    "generator",
]


def run(command, cwd, text, **env):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **env},
        input=text,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("gainstage:")]
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return {"stdout": done.stdout, "stderr": told, "code": code}


def both(*args, cwd, runs, text="", **env):
    """What came of `python *args` and of `gainstage run *args`."""
    plain = run([sys.executable, *args], cwd, text, **env)
    watched = run([COMMAND, "run", "--dir", runs, *args], cwd, text, **env)
    return plain, watched


@pytest.fixture
def hostile(tmp_path):
    """A working directory full of modules that are named like those that we need."""
    folder = tmp_path / "hostile"
    for name in ("torch", "numpy", "numba", "msgspec", "rich", "sqlite3", "json", "gainstage"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit(f'{__name__} is shadowed')")
    (folder / "click.py").write_text("raise SystemExit('click is shadowed')")
    return folder


@pytest.mark.parametrize("path", ["./facts.py", "ün ï/../ün ï/facts.py", "link.py"])
def test_a_script_sees_the_same_facts(tmp_path, path):
    home = tmp_path / "ün ï"
    home.mkdir()
    for name in ("facts.py", "facts_sibling.py"):
        shutil.copy(SCRIPTS / name, home)
    (tmp_path / "link.py").symlink_to(home / "facts.py")
    cwd = home if path.startswith("./") else tmp_path
    args = [path, "--steps", "3", "--json", "-m", "mlp", "--", "-h", "gainstage: x"]
    text = "first line\nthe rest\n"
    plain, watched = both(*args, cwd=cwd, runs=tmp_path, text=text, FACTS_OF_THE_TEST="set")
    assert plain["code"] == 7
    assert "first line" in plain["stdout"]
    assert watched == plain


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_script_ends_the_same_way(tmp_path, ending):
    plain, watched = both("./endings.py", ending, cwd=SCRIPTS, runs=tmp_path)
    assert "at exit" in plain["stdout"]
    assert watched == plain


@pytest.mark.parametrize(
    "source",
    ["x = (\n", "print(1)\n\tprint(2)\n", "import broken\n", "class A:\n  return 1\n"],
    ids=["unclosed", "indent", "imported", "outside"],
)
def test_source_that_is_no_python_is_told_the_same_way(tmp_path, source):
    (tmp_path / "wrong.py").write_text(source)
    (tmp_path / "broken.py").write_text("def f(:\n")
    plain, watched = both("wrong.py", cwd=tmp_path, runs=tmp_path)
    assert plain["code"] == 1
    assert plain["stderr"]
    assert watched == plain


@pytest.mark.parametrize("args", [["--lr", "1"], ["raise"]])
def test_a_module_runs_as_by_python_dash_m(tmp_path, args):
    plain, watched = both("-m", "package.module", *args, cwd=SCRIPTS, runs=tmp_path)
    assert plain["stdout"].count("the package is imported") == 1
    assert watched == plain


def test_failures_inside_torch_have_the_same_traceback(tmp_path):
    """Chained: in F.linear, in a custom backward, in F.cross_entropy, in a module's forward."""
    plain, watched = both("failures.py", cwd=SCRIPTS, runs=tmp_path)
    text = "\n".join(watched["stderr"])
    assert "src/gainstage" not in text
    assert "overrides.py" not in text
    assert users_lines(watched["stderr"]) == users_lines(plain["stderr"])
    assert watched["stderr"][-1] == plain["stderr"][-1] == "RuntimeError: gave up"
    assert watched["code"] == plain["code"] == 1


def users_lines(stderr):
    """The lines that tell of the user's file, each with the line of code under it."""
    return [pair for pair in pairwise(stderr) if "failures.py" in pair[0]]


def test_a_training_with_workers_is_the_same_in_a_hostile_folder(tmp_path, hostile):
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(SCRIPTS / "workers.py", home)
    (home / "numba.py").write_text("raise SystemExit('numba is shadowed')")
    plain, watched = both(home / "workers.py", cwd=hostile, runs=tmp_path)
    assert plain["code"] == 0, plain["stderr"]
    assert plain["stdout"].startswith("False True\n")
    assert watched == plain


def test_asking_for_torch_is_not_importing_it(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("ready = True")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    calls = []
    finder = TorchImport(lambda: calls.append(sys.modules["torch"].ready))
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    assert importlib.util.find_spec("torch").origin == str(tmp_path / "torch.py")
    assert calls == []
    stand_in = importlib.import_module("torch")
    assert calls == [True]
    assert finder not in sys.meta_path
    assert type(stand_in.__loader__) is type(stand_in.__spec__.loader) is SourceFileLoader
    monkeypatch.delitem(sys.modules, "torch")
    importlib.import_module("torch")
    assert calls == [True]


def test_frames_of_a_folder_that_only_begins_like_ours_are_the_users():
    import gainstage

    near = Path(gainstage.__file__).parent.with_name("gainstage_of_the_user") / "train.py"
    code = compile("def f():\n    raise ValueError\nf()", str(near), "exec")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the traceback is what counts
        exec(code, {})  # noqa: S102
    frames = []
    link = users_traceback(caught.value)
    while link is not None:
        frames.append(link.tb_frame.f_code.co_filename)
        link = link.tb_next
    assert frames.count(str(near)) == 2


def test_circles_among_exceptions_do_not_hang():
    first, second = ValueError(1), ValueError(2)
    first.__cause__, second.__cause__ = second, first
    assert without_our_frames(first) is first
