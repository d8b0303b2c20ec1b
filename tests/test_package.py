"""The package from outside: names, documentation, and what importing it loads."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import gainstage
from gainstage.cli import gainstage as command_line
from gainstage.diagnosis import RULES

ROOT = Path(__file__).parents[1]
NAMES = list(gainstage.__all__)

READING = """
import json, sys
from click.testing import CliRunner

loaded = {}
def note(what):
    heavy = ("torch", "numba", "plotly", "pandas", "matplotlib", "sklearn", "rich", "numpy")
    heavy += ("tensorboard", "wandb", "mlflow", "trackio", "lightning", "transformers", "ray")
    loaded[what] = [name for name in heavy if name in sys.modules]

import gainstage
dir(gainstage)
note("import")
from gainstage.cli import gainstage as command
note("cli")
run, folder = sys.argv[1:]
for args in (
    ["--help"], ["--version"], ["doctor", "--help"], ["run", "--help"], ["explain"],
    ["explain", "dead-units"], ["ui", "--help"], ["runs", "--dir", folder],
    ["export", "--help"], ["import", "--help"],
    ["show", run], ["compare", run, run], ["report", run],
):
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 0, (args, result.output)
    note(" ".join(part for part in args if "/" not in part))
gainstage.open(run).diagnose()
note("open")
from gainstage.render.live.app import make_app
from gainstage.render.live.guard import Keys
from gainstage.render.live.shelf import Shelf
make_app(Shelf(folder), Keys(), 1)
note("ui")
import gainstage.foreign
gainstage.sinks.choose(print)
note("sinks")
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Heavy modules in sys.modules after each thing that a reader of runs does."""
    from gainstage.records import RunInfo, Series, Site
    from gainstage.store import Writer

    folder = tmp_path_factory.mktemp("runs")
    with Writer(folder / "a.gs", RunInfo("a", 0.0)) as writer:
        writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
        writer.finish(RunInfo("a", 0.0, status="finished"))
    command = [sys.executable, "-c", READING, folder / "a.gs", folder]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_reading_half_leaves_torch_out(loaded):
    for what, modules in loaded.items():
        assert not {"torch", "numba", "pandas", "matplotlib", "sklearn"} & set(modules), what


def test_no_extra_is_loaded_before_it_is_used(loaded):
    extras = {"tensorboard", "wandb", "mlflow", "trackio", "lightning", "transformers", "ray"}
    for what, modules in loaded.items():
        assert not extras & set(modules), what


def test_plotly_is_loaded_for_reports_alone(loaded):
    before_the_report = list(loaded)[: list(loaded).index("report")]
    assert len(before_the_report) >= 8
    for what in before_the_report:
        assert "plotly" not in loaded[what], what


def test_importing_the_package_loads_nothing_heavy(loaded):
    assert loaded["import"] == []
    assert loaded["cli"] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported_and_says_what_it_is(name):
    value = getattr(gainstage, name)
    assert name in dir(gainstage)
    text = inspect.getdoc(value)
    assert re.match(r"[A-Z`].*[.:]$", text.partition("\n")[0]), text
    if inspect.ismodule(value):
        for member in (one for one in vars(value) if one[0].isupper()):
            assert inspect.getdoc(getattr(value, member)), f"{name}.{member}"
    elif inspect.isclass(value):
        for member, one in vars(value).items():
            if not member.startswith("_") and (callable(one) or isinstance(one, property)):
                assert inspect.getdoc(one), f"{name}.{member}"
    else:
        asked = [p for p in inspect.signature(value).parameters if p != "self"]
        told = re.split(r"^Args:$", text, flags=re.MULTILINE)[-1]
        for parameter in asked:
            assert re.search(rf"^ +{parameter}: ", told, re.MULTILINE), f"{name}({parameter})"


def test_dir_lists_public_names_and_nothing_by_accident():
    told = {name for name in dir(gainstage) if not name.startswith("__")}
    assert told == set(NAMES)
    assert len(NAMES) == len(told)


def test_every_public_name_is_re_exported_for_type_checkers():
    tree = ast.parse(Path(gainstage.__file__).read_text(encoding="utf-8"))
    (guarded,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    typed = {
        alias.asname: node.module
        for node in guarded.body
        for alias in node.names
        if alias.asname == alias.name
    }
    homes = dict(gainstage._HOMES)
    packages = {name: typed[name] for name in homes if name in typed}
    assert packages == homes
    assert set(typed) == set(homes)


def test_an_unknown_name_is_told_as_python_tells_it():
    with pytest.raises(AttributeError, match=r"^module 'gainstage' has no attribute 'wacth'$"):
        _ = gainstage.wacth
    with pytest.raises(ImportError, match="cannot import name 'wacth' from 'gainstage'"):
        exec("from gainstage import wacth", {})  # noqa: S102


def test_the_package_is_typed():
    assert (Path(gainstage.__file__).parent / "py.typed").exists()


def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_command():
    commands = CliRunner().invoke(command_line, ["--help"]).output.partition("Commands:")[2]
    names = re.findall(r"^  (\w+)", commands, re.MULTILINE)
    assert names
    missing = [name for name in names if not re.search(rf"gainstage {name}\b", readme())]
    assert not missing, f"README.md says nothing of: {', '.join(missing)}"


def test_the_readme_names_every_function_that_users_call():
    wanted = [name for name in NAMES if inspect.isfunction(getattr(gainstage, name))]
    missing = [name for name in wanted if not re.search(rf"\.{name}\(", readme())]
    assert not missing, f"README.md says nothing of: {', '.join(missing)}"


def test_the_readme_or_the_docs_name_every_finding():
    pages = [readme(), *(page.read_text("utf-8") for page in ROOT.glob("docs/**/*.md"))]
    missing = [code for code in RULES if not any(code in page for page in pages)]
    assert not missing, f"README.md and docs/ say nothing of: {', '.join(missing)}"
