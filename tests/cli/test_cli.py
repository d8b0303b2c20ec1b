"""The command line as a whole: help for everything, and errors in one sentence."""

import importlib
import os
import pkgutil
import re
import subprocess

import click
import pytest

from gainstage.cli import commands, gainstage

NAMES = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def find(name):
    return importlib.import_module(f"gainstage.cli.commands.{name}").command


def test_every_file_of_commands_is_a_command(cli):
    told = cli("--help")
    assert told.exit_code == 0
    assert gainstage.list_commands(click.Context(gainstage)) == NAMES
    for name in NAMES:
        assert re.search(rf"^  {name} +[A-Z]", told.stdout, re.MULTILINE), name


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_says_what_it_does(cli, name):
    for flag in ("-h", "--help"):
        told = cli(name, flag)
        assert told.exit_code == 0
        assert told.stdout.startswith(f"Usage: gainstage {name} ")
    one = find(name)
    assert re.match(r"[A-Z].*\.", one.help, re.DOTALL)
    for parameter in one.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.rstrip().endswith("."), parameter.name
        else:
            assert parameter.name.upper() in one.help, parameter.name


def test_no_command_at_all_shows_the_help(cli):
    told = cli()
    assert told.exit_code == 2
    assert "Commands:" in told.stderr


def test_the_version_is_told(cli):
    from gainstage import __version__

    assert cli("--version").stdout == f"gainstage, version {__version__}\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--bogus"], "No such option '--bogus'"),
        (["docter"], "No such command 'docter'. Did you mean 'doctor'?"),
        (["mend"], "No such command 'mend'. Try"),
        (["doctor"], "Missing argument 'SCRIPT'"),
        (["doctor", "--setps", "3", "train.py"], "No such option '--setps'.*'--steps'"),
        (["doctor", "--steps", "many", "train.py"], "'--steps': 'many' is not a valid integer"),
        (["doctor", "--steps", "-5", "train.py"], "steps must be a number from 0"),
        (["doctor", "--seconds", "nan", "train.py"], "seconds must be a number from 0"),
        (["doctor", "--json", "nowhere/a.json", "x.py"], "'--json': there is no folder 'nowhere'"),
        (["doctor", "--report", "nowhere/a.html", "x.py"], "there is no folder 'nowhere'"),
        (["doctor", "missing.py"], r"There is no script 'missing\.py'"),
        (["doctor", "."], r"'\.' is a folder"),
        (["doctor", "-m", "missing.module"], r"There is no module named 'missing\.module'"),
        (["run", "missing.py"], r"There is no script 'missing\.py'"),
        (["run", "--dir", "train.py", "train.py"], "'--dir': Directory 'train.py' is a file"),
        (["runs", "--dir", "train.py"], "Directory 'train.py' is a file"),
        (["runs", "extra"], "unexpected extra argument"),
        (["explain", "vanishing-gradiet"], "no finding named .* Did you mean 'vanishing-gradient'"),
        (["explain", "zzz"], "no finding named 'zzz'. There are: .*dead-units"),
        (["show", "nothing"], "There are no runs in 'runs': make one with `gainstage run`"),
        (["show", "nothing.gs"], r"There is no run file 'nothing\.gs'"),
        (["show", "train.gs"], "train.gs' cannot be read: file is not a database"),
        (["show", "--step", "x", "train.gs"], "'x' is not a valid integer"),
        (["report", "train.gs"], "train.gs' cannot be read: file is not a database"),
        (["report", "-o", "nowhere/a.html"], "'-o' / '--output': there is no folder 'nowhere'"),
        (["bench", "zzz"], "There is no benchmark named 'zzz'. There are: doctor, "),
    ],
)
def test_an_error_is_one_sentence(cli, tmp_path, monkeypatch, args, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("raise SystemExit('it ran')")
    (tmp_path / "train.gs").write_text("no run " * 100)
    result = cli(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.search(told, result.stderr)
    assert result.stderr.startswith("gainstage: ")
    assert result.stderr.count("\n") == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_the_installed_command_tells_errors_the_same_way(command, tmp_path):
    done = command("show", "nothing", "--dir", tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("gainstage: There are no runs in")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("args", [["explain"], ["show"], ["runs"]])
def test_output_that_nobody_reads_is_no_traceback(command_path, runs, args):
    """As in `gainstage show | head -1`."""
    where = [] if args == ["explain"] else ["--dir", str(runs)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [command_path, *args, *where], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode in {0, 1}
