"""`gainstage doctor`: output, files and exit codes for trainings that end in various ways."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gainstage.store import StoredRecording

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMMAND = Path(sys.executable).with_name("gainstage")
LIMIT = 120
"""Seconds after which a child that hangs is ended."""

NUMBER = (int, float)
VERDICT = {
    # as in the design
    "schema": int,
    "script": str,
    "steps": int,
    "healthy": bool,
    "loss": dict,
    "overhead": NUMBER,
    "findings": list,
    "remedies": list,
    # and why a verdict may be partial, and where the numbers are
    "status": str,
    "problem": str,
    "run": str,
}
FINDING = {
    "code": str,
    "severity": str,
    "confidence": NUMBER,
    "site": str,
    "since_step": int,
    "rank": int,
    "message": str,
    "evidence": dict,
    "because": list,
    "threshold": dict,
}


def doctor(folder, script, *args, options=("--no-trial",)):
    """Run the doctor with every output into `folder`; gather what came of it."""
    verdict = folder / "verdict.json"
    command = [COMMAND, "doctor", "--dir", folder, "--json", verdict, *options, script, *args]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=SCRIPTS,
        env={**os.environ, "TRACE": str(folder / "trace")},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return SimpleNamespace(
        code=done.returncode,
        out=done.stdout,
        err=done.stderr,
        folder=folder,
        told=json.loads(verdict.read_text()) if verdict.exists() else None,
    )


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """An endless training that catches every Exception, limited to 7 steps."""
    return doctor(
        tmp_path_factory.mktemp("stopped"),
        "loop.py",
        "endless",
        options=["--steps", "7", "--no-trial"],
    )


@pytest.fixture(scope="module")
def raised(tmp_path_factory):
    """A training whose loss is soon NaN and that raises after 30 steps."""
    folder = tmp_path_factory.mktemp("raised")
    report = ["--report", folder / "own.html", "--no-trial"]
    return doctor(folder, "loop.py", "diverges and raises", options=report)


def test_the_step_limit_is_kept_and_the_stop_is_polite(stopped):
    assert stopped.told["steps"] == 7
    assert stopped.told["status"] == "stopped"
    assert stopped.told["problem"] == ""
    assert stopped.out.count("step ") - stopped.out.count("step 0 ") >= 7
    assert "finally" in stopped.out
    assert "swallowed" not in stopped.out
    assert stopped.code in {0, 1}
    assert stopped.code == (0 if stopped.told["healthy"] else 1)
    assert stopped.err == ""


def test_output_to_a_pipe_is_plain(stopped, raised):
    for text in (stopped.out, stopped.err, raised.out, raised.err):
        assert "\x1b" not in text
    assert all(len(line) <= 80 for line in stopped.out.splitlines() if "runs" not in line[:8])


def test_the_report_is_one_file_beside_the_run(stopped):
    (report,) = stopped.folder.glob("*.html")
    assert report.with_suffix(".gs") == Path(stopped.told["run"])
    assert str(report) in stopped.out
    page = report.read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert '<script src="' not in page
    assert not re.search(r"""\b(src|href)=["']?https?:""", page.split("<script")[0])


def test_a_script_that_raises_shows_its_own_traceback_and_the_findings_so_far(raised):
    assert raised.code == 2
    lines = raised.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: loss is nan"
    assert all(str(SCRIPTS / "loop.py") in line for line in lines if line.startswith("  File"))
    assert "GAINSTAGE" in raised.out
    assert "non-finite" in raised.out
    assert "The script failed after 30 steps: ValueError: loss is nan." in raised.out
    assert raised.told["problem"] in raised.out
    assert "non-finite" in {finding["code"] for finding in raised.told["findings"]}
    assert not raised.told["healthy"]


def test_the_run_of_a_script_that_raises_is_kept(raised):
    with StoredRecording(raised.told["run"]) as run:
        assert len(run.steps) == 30
        assert run.info.status == "failed"
        assert [f.code for f in run.findings] == [f["code"] for f in raised.told["findings"]]


def test_the_report_goes_where_it_is_asked_for(raised):
    assert (raised.folder / "own.html").stat().st_size > 1_000_000
    assert [path.name for path in raised.folder.glob("*.html")] == ["own.html"]


@pytest.mark.parametrize("which", ["stopped", "raised"])
def test_the_json_has_the_keys_and_types_of_the_design(which, request):
    told = request.getfixturevalue(which).told
    assert set(told) == set(VERDICT)
    for key, kind in VERDICT.items():
        assert isinstance(told[key], kind), key
    assert told["schema"] == 1
    assert set(told["loss"]) == {"first", "last", "expected_initial"}
    for value in told["loss"].values():
        assert value is None or (isinstance(value, NUMBER) and math.isfinite(value))
    assert [finding["rank"] for finding in told["findings"]] == [
        *range(1, len(told["findings"]) + 1)
    ]
    for finding in told["findings"]:
        assert set(finding) == set(FINDING)
        for key, kind in FINDING.items():
            assert isinstance(finding[key], kind), key
        assert finding["severity"] in {"error", "warning", "info"}
        assert 0 <= finding["confidence"] <= 1


def test_the_json_holds_no_nan(raised):
    text = (raised.folder / "verdict.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert raised.told["findings"]


def test_a_script_that_never_trains_gets_no_verdict(tmp_path):
    seen = doctor(tmp_path, "loop.py", "only imports torch")
    assert seen.code == 2
    assert seen.out.startswith("3.0\n")
    assert "without a training step" in seen.out
    assert "GAINSTAGE" not in seen.out
    assert seen.told["steps"] == 0
    assert not seen.told["healthy"]
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    ("ending", "problem"),
    [
        ("falls off the end", "without importing torch"),
        ("exit 3", "The script failed after 0 steps: sys.exit(3)."),
        ("chained", "The script failed after 0 steps: ValueError: two."),
    ],
)
def test_a_script_that_never_imports_torch_gets_no_verdict(tmp_path, ending, problem):
    seen = doctor(tmp_path, "endings.py", ending)
    assert seen.code == 2
    assert problem in seen.out
    assert problem in seen.told["problem"]


def test_a_syntax_error_is_shown_as_python_shows_it(tmp_path):
    script = tmp_path / "wrong.py"
    script.write_text("x = (\n")
    seen = doctor(tmp_path, script)
    assert seen.code == 2
    assert seen.err.startswith(f'  File "{script}", line 1\n')
    assert seen.err.endswith("SyntaxError: '(' was never closed\n")


TRIED = """\
import os
import torch
from torch import nn
torch.manual_seed(0)
x = torch.randn(256, 8)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=60.0)
open(os.environ["TRACE"], "a").write("run\\n")
open(os.path.join(os.path.dirname(__file__), "written.txt"), "a").write("run\\n")
for step in range(60):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
REMEDY = {
    # as in the design
    "name": str,
    "for": list,
    "change": str,
    "where": str,
    "loss_before": list,
    "loss_after": list,
    "control": list,
    "seeds": int,
    "verified": bool,
    # and how the trial went
    "diff": str,
    "control_name": str,
    "score_before": list,
    "score_after": list,
    "score_control": list,
    "told": str,
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A training whose steps are far too long, with remedies tried on it."""
    folder = tmp_path_factory.mktemp("tried")
    (folder / "train.py").write_text(TRIED)
    command = [COMMAND, "doctor", "--dir", "runs", "--json", "verdict.json", "--jobs", "2"]
    done = subprocess.run(
        [str(part) for part in (*command, "--write-patch", "fix.diff", "train.py")],
        cwd=folder,
        env={**os.environ, "TRACE": str(folder / "trace")},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.stderr == ""
    told = json.loads((folder / "verdict.json").read_text())
    return SimpleNamespace(code=done.returncode, out=done.stdout, folder=folder, told=told)


def test_a_remedy_is_tried_and_verified(tried):
    assert tried.code == 1
    best = tried.told["remedies"][0]
    assert best["verified"]
    assert best["seeds"] == len(best["loss_after"]) == len(best["control"]) == 2
    assert min(best["score_after"]) > max(best["score_before"] + best["score_control"])
    assert "learning-rate-too-high" in {f["code"] for f in tried.told["findings"]}
    assert f"VERIFIED {best['name']}" in tried.out


def test_what_trials_will_cost_is_said_before_they_begin(tried):
    cost = tried.out.index("Trying ")
    assert tried.out.index("Levels, median") < cost < tried.out.index("VERIFIED")
    assert "Each works in a copy of the working directory" in tried.out[cost:]


def test_trials_are_counted_and_leave_no_run_files(tried):
    runs = (tried.folder / "trace").read_text().count("run")
    remedies = tried.told["remedies"]
    assert 1 + len(remedies) <= runs <= 1 + 3 + 3 + 3
    assert (tried.folder / "written.txt").read_text() == "run\n"
    assert len(list((tried.folder / "runs").glob("*.gs"))) == 1


def test_the_json_has_the_remedies_of_the_design(tried):
    assert tried.told["remedies"]
    for remedy in tried.told["remedies"]:
        assert set(remedy) == set(REMEDY)
        for key, kind in REMEDY.items():
            assert isinstance(remedy[key], kind), key


def test_the_report_shows_the_remedies(tried):
    (report,) = (tried.folder / "runs").glob("*.html")
    text = report.read_text(encoding="utf-8")
    assert f'"name":"{tried.told["remedies"][0]["name"]}"' in text


def test_the_patch_applies_and_the_script_is_healthy_then(tried):
    patch = (tried.folder / "fix.diff").read_text()
    assert tried.told["remedies"][0]["diff"] == patch
    subprocess.run(
        ["git", "apply", "fix.diff"],  # noqa: S607
        cwd=tried.folder,
        check=True,
    )
    seen = doctor(tried.folder, tried.folder / "train.py")
    assert seen.told["loss"]["last"] < 0.2 * seen.told["loss"]["first"]


def test_a_healthy_script_is_run_once(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TRIED.replace("lr=60.0", "lr=0.5"))
    seen = doctor(tmp_path, script, options=())
    assert seen.code == 0, seen.out
    assert seen.told["remedies"] == []
    assert "Trying" not in seen.out
    assert (tmp_path / "trace").read_text() == "run\n"


def test_a_patch_that_nothing_proves_is_not_written(tmp_path):
    options = ["--no-trial", "--write-patch", tmp_path / "fix.diff"]
    seen = doctor(tmp_path, "loop.py", "diverges and raises", options=options)
    assert "There is no verified fix as a diff" in seen.out
    assert not (tmp_path / "fix.diff").exists()
