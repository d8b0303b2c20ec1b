"""What keeps the source easy to live in: small files, small functions, one obvious place."""

import ast
import datetime as dt
from pathlib import Path

import pytest

from gainstage.diagnosis import RULES
from gainstage.diagnosis.rule import SECTIONS

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "gainstage"
MODULES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}

LONGEST_FILE = 300
LONGEST_FUNCTION = 50

# What is longer on purpose: (when it was allowed, why). Empty if possible.
LONG_FILES: dict[str, tuple[str, str]] = {}
LONG_FUNCTIONS: dict[str, tuple[str, str]] = {}

# Modules without a test file of their own name, and what covers them instead. A package's
# __init__ that only re-exports needs none, and rules have their contract suite.
COVERED_BY = {
    "__init__.py": "test_package.py",
    "errors.py": "test_package.py",
    "records.py": "store/test_writer.py",  # plain data: stored and read back
    "quantities.py": "views/test_view.py",  # one table, read by every view
    "testing.py": "diagnosis/test_rules.py",  # made for it
    "torch_private.py": "probe/test_guard.py",
    # what the rules see, and how they are filed: judged through each of them
    **dict.fromkeys(
        (f"diagnosis/{name}.py" for name in ("evidence", "operations", "progress", "rule")),
        "diagnosis/test_rules.py",
    ),
    "landscape/contours.py": "landscape/test_figures.py",
    "render/canvas.py": "plot/test_plot.py",
    **dict.fromkeys(
        (f"landscape/{name}.py" for name in ("evaluator", "lossmap", "mapping")),
        "landscape/test_maps.py",
    ),
    "landscape/surfaces/textbook.py": "landscape/test_surface.py",
    "landscape/surfaces/training.py": "landscape/test_surface.py",
    # each is one experiment, judged by its published figures
    **dict.fromkeys(
        (
            path.relative_to(SOURCE).as_posix()
            for path in SOURCE.glob("lab/experiments/[a-z]*")
            if path.stem != "names"
        ),
        "lab/test_runner.py",
    ),
    "cli/options.py": "cli/test_cli.py",
    "__main__.py": "test_package.py",
    "probe/traced.py": "probe/test_compiled.py",
    "probe/unitlooks.py": "probe/test_stages.py",
    # the recorder's parts, which it alone uses
    **dict.fromkeys(("probe/numbers.py", "probe/schedule.py"), "probe/test_recorder.py"),
    "sketch/anywhere.py": "sketch/test_tensors.py",  # held against the kernels there
    "sketch/sketch.py": "sketch/test_tensors.py",
    "probe/steptable.py": "probe/test_parameters.py",  # the fast way of Parameters
    "probe/tracebacks.py": "probe/test_launch.py",  # only the launch shows any
    "probe/importing.py": "probe/test_launch.py",  # what a script that imports torch is told by
    # changes of losses, and of what enters a model, share a suite each
    **dict.fromkeys(
        (
            f"interventions/changes/{name}.py"
            for name in ("match_shapes", "normalise_scores", "remove_softmax")
        ),
        "interventions/test_losses.py",
    ),
    **dict.fromkeys(
        (f"interventions/changes/standardise_{what}.py" for what in ("input", "target")),
        "interventions/test_standardising.py",
    ),
    # parts of what the tools of initialisation do, judged by what they do to a network
    **dict.fromkeys(
        (path.relative_to(SOURCE).as_posix() for path in SOURCE.glob("init/propagation/[a-z]*")),
        "init/test_prediction.py",
    ),
    "sinks/reading.py": "sinks/test_outlet.py",  # plain data, handed on there
    "probe/listeners.py": "probe/test_functions.py",  # what the function tap reports to
    "probe/settings.py": "probe/test_watch.py",  # what watch is told
    "bench/playing.py": "bench/benches/test_page.py",  # a part of that bench
    "bench/nets.py": "init/test_prediction.py",  # their levels are predicted there
    **dict.fromkeys(
        ("init/gaussian.py", "init/moments.py", "init/weight_gradients.py"),
        "init/test_prediction.py",
    ),
    "init/planning.py": "init/test_applying.py",
    **dict.fromkeys(("init/metering.py", "init/balancing.py"), "init/test_calibration.py"),
    **dict.fromkeys(("init/expected_loss.py", "init/faults.py"), "init/test_auditing.py"),
    "theory/results.py": "init/test_auditing.py",  # plain data, read through each tool
    "render/init_tables.py": "init/test_auditing.py",
    # what a remedy is, what each finding suggests; how a fix is found in a file and written
    **dict.fromkeys(
        (f"doctor/{name}.py" for name in ("candidates", "repertoire", "suggestions")),
        "doctor/test_remedies.py",
    ),
    **dict.fromkeys(
        (
            f"doctor/{name}.py"
            for name in ("activation_writers", "model_writers", "site", "writers")
        ),
        "doctor/test_rewrite.py",
    ),
    "doctor/listing.py": "doctor/test_workplace.py",  # its view of the folders
    "render/page.py": "render/test_text.py",
    # how the parts of a command's output look is told by its whole
    **dict.fromkeys(("render/level_lines.py", "render/words.py"), "render/test_text.py"),
    "render/payload.py": "render/test_report.py",
    # one suite for all figures
    **dict.fromkeys(
        (f"plot/{name}.py" for name in ("curves", "meters", "paper", "ridges")), "plot/test_plot.py"
    ),
    "render/static_files.py": "render/test_report.py",
    "views/parameters.py": "views/test_levels.py",  # read as those of the stages are
    # the charts share one suite
    **dict.fromkeys(
        (
            f"views/{name}.py"
            for name in (
                "batchnorm",
                "findings",
                "heatmap",
                "histograms",
                "history",
                "loss",
                "ridge",
                "updates",
            )
        ),
        "views/test_charts.py",
    ),
    # the insides of Writer and StoredRecording have no other users
    **dict.fromkeys(
        (f"store/{name}.py" for name in ("amend", "codec", "compaction", "roster")),
        "store/test_writer.py",
    ),
    "store/outcome.py": "store/test_merged.py",  # the records of the merged recording
    **dict.fromkeys(
        (f"store/{name}.py" for name in ("catalogue", "frame", "timeline")), "store/test_reader.py"
    ),
    **dict.fromkeys(
        (f"store/{name}.py" for name in ("problems", "schema", "source")), "store/test_hostile.py"
    ),
}


def functions(path):
    """Name and number of lines of each function of a file, without its docstring: a manual."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = node.body[0] if ast.get_docstring(node) is not None else None
            manual = text.end_lineno - text.lineno + 1 if text else 0
            yield node.name, node.end_lineno - node.lineno + 1 - manual


def test_there_is_something_to_look_at():
    assert len(MODULES) > 50


@pytest.mark.parametrize("name", MODULES)
def test_a_file_can_be_read_in_one_go(name):
    lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE or name in LONG_FILES, f"{name} has {lines} lines"
    assert lines > LONGEST_FILE or name not in LONG_FILES, f"{name} needs no exception any more"


@pytest.mark.parametrize("name", MODULES)
def test_a_function_fits_on_a_screen(name):
    lengths = {f"{name}:{function}": lines for function, lines in functions(MODULES[name])}
    long = {key for key, lines in lengths.items() if lines > LONGEST_FUNCTION}
    allowed = {key for key in LONG_FUNCTIONS if key.startswith(f"{name}:")}
    assert long == allowed, {key: lengths.get(key) for key in long ^ allowed}


def test_every_exception_has_a_date_and_a_reason():
    for day, reason in [*LONG_FILES.values(), *LONG_FUNCTIONS.values()]:
        assert dt.date.fromisoformat(day)
        assert len(reason.split()) >= 4


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_for(name):
    text = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert text, f"{name} has no docstring"
    assert text.partition("\n")[0].rstrip().endswith((".", ":", "``"))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_a_test_file_in_the_same_place(name):
    path = MODULES[name]
    place = TESTS / path.parent.relative_to(SOURCE)
    if path.name == "__init__.py":
        mirror = place / f"test_{path.parent.name}.py"
        needed = any(functions(path))
    elif place.name == "rules":
        mirror, needed = place.parent / "test_rules.py", True
    else:
        mirror, needed = place / f"test_{path.stem}.py", True
    if name not in COVERED_BY:
        assert mirror.exists() or not needed, f"{name} wants {mirror.relative_to(TESTS.parent)}"
        return
    assert not mirror.exists(), f"{name} has a test file of its own by now"
    assert (TESTS / COVERED_BY[name]).exists(), f"{COVERED_BY[name]} is gone"


def test_no_entry_outlives_its_module():
    listed = {*LONG_FILES, *COVERED_BY, *(key.partition(":")[0] for key in LONG_FUNCTIONS)}
    assert listed <= set(MODULES)


@pytest.mark.parametrize("code", list(RULES))
def test_a_rule_is_in_the_file_of_its_name_and_has_a_whole_manual(code):
    rule = RULES[code]
    assert rule.check.__module__ == f"gainstage.diagnosis.rules.{code.replace('-', '_')}"
    assert 10 <= len(rule.title) <= 80
    for section in SECTIONS:
        assert len(rule.section(section).split()) >= 3, section
    assert set(rule.may_cause) <= set(RULES)
    assert code not in rule.may_cause
