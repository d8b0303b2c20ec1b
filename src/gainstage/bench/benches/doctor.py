"""How right the doctor is: its verdicts on a corpus of scripts of which the fault is known."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.progress import track

from gainstage.bench.bench import BENCHES, Grid, Line, Outcome, Settings
from gainstage.bench.patches import learns
from gainstage.bench.scoring import Case, Score, confusion, score
from gainstage.bench.variation import vary
from gainstage.doctor.suggestions import has_remedy
from gainstage.errors import UsageError

CORPUS: Final = Path("tests") / "corpus"
OURS, THEIRS = "doctor", "published thresholds"

FIGURES: Final[dict[str, Callable[[Score], str]]] = {
    "main finding right": lambda s: f"{s.main} of {s.sick}",
    "right among the top two": lambda s: f"{s.top_two} of {s.sick}",
    "right anywhere": lambda s: f"{s.anywhere} of {s.sick}",
    "errors per healthy": lambda s: f"{s.false_errors} on {s.healthy}",
    "warnings per healthy": lambda s: f"{s.false_warnings} on {s.healthy}",
    "healthy with an alarm": lambda s: f"{s.alarmed} of {s.healthy}",
    "without a full verdict": lambda s: str(s.unjudged),
    "verified remedy": lambda s: f"{s.verified} of {s.searched} that have one",
    "its diff applies and helps": lambda s: f"{s.patched} of {s.diffs}",
    "seconds a script (median)": lambda s: f"{s.seconds:.1f}",
}
"""Rows of the table of scores, and how each is written."""

OF_TRIALS: Final = ("verified remedy", "its diff applies and helps")
"""Those that there are only where remedies are tried."""


@BENCHES.register("doctor")
def doctor(settings: Settings) -> Outcome:
    """Run the doctor on every script of one half of the corpus, one at a time, and score it.

    Args:
        settings: with ``half``, which half; with ``vary``, that many varied versions of each
            script in place of the script; with ``baseline``, a second judge beside ours; with
            ``trials``, remedies are tried too, and the diff of the first verified one is applied
            to a copy, which is run.

    Raises:
        UsageError: there is no corpus here, or no such half.
    """
    checkout = _checkout()
    scripts = _expected(checkout / CORPUS, settings.half)
    judge = _baseline(checkout) if settings.baseline else None
    extra = ["--no-trial"] if not settings.trials and _has("--no-trial") else []
    cases: dict[str, list[Case]] = {name: [] for name in ((OURS, THEIRS) if judge else (OURS,))}
    with TemporaryDirectory(prefix="gainstage-") as folder:
        versions = list(_versions(checkout / CORPUS, scripts, settings.vary, Path(folder)))
        for name, path in track(versions, "doctor", transient=True, disable=not _seen()):
            began = time.perf_counter()
            told = _examine(path, Path(folder), extra)
            seconds = time.perf_counter() - began
            expected = scripts[name]
            case = _case(path.stem, expected, told, seconds)
            if settings.trials:
                case = _tried(case, path, told, Path(folder))
            cases[OURS].append(case)
            if judge is not None:
                findings = judge(told["run"]) if told.get("steps") else []
                theirs = {"findings": findings, "problem": told["problem"]}
                cases[THEIRS].append(_case(path.stem, expected, theirs, seconds))
            for file in Path(folder).glob("*.gs*"):
                file.unlink()
    scores = {name: score(told) for name, told in cases.items()}
    data = {
        name: {"score": asdict(scores[name]), "cases": [asdict(case) for case in told]}
        for name, told in cases.items()
    }
    return Outcome(_promises(scores[OURS]), _grids(settings, cases, scores), data)


def _checkout() -> Path:
    """The source checkout that holds the corpus: where we are, or where the source lies."""
    places = [Path.cwd(), Path(__file__).parents[4]]
    for place in places:
        if (place / CORPUS / "expected.json").is_file():
            return place
    msg = (
        f"The doctor's benchmark needs the scripts in {CORPUS} of a source checkout, and there "
        f"are none in {places[0]}. Clone the repository and call it from there."
    )
    raise UsageError(msg)


def _expected(corpus: Path, half: str) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = json.loads((corpus / "expected.json").read_text())
    found = {name: entry for name, entry in table.items() if name.startswith(f"{half}/")}
    if not found:
        halves = sorted({name.partition("/")[0] for name in table})
        msg = f"half must be one of {', '.join(halves)}, but got {half!r}."
        raise UsageError(msg)
    return found


def _versions(
    corpus: Path, names: Iterable[str], number: int, folder: Path
) -> Iterator[tuple[str, Path]]:
    """Each script with the path of what is run: itself, or varied versions of it."""
    for name in names:
        if not number:
            yield name, corpus / name
        for which in range(1, number + 1):
            path = folder / f"{Path(name).stem}_v{which}.py"
            path.write_text(vary((corpus / name).read_text(), which))
            yield name, path


def _baseline(checkout: Path) -> Callable[[str], list[dict[str, str]]]:
    """The published thresholds as a judge of run files: they are no part of the package."""
    path = checkout / "benchmarks" / "thresholds.py"
    spec = importlib.util.spec_from_file_location("thresholds", path)
    if spec is None or spec.loader is None or not path.is_file():
        msg = f"The baseline should lie in {path}, and is not there."
        raise UsageError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    judge: Callable[[str], list[dict[str, str]]] = module.judge
    return judge


def _has(option: str) -> bool:
    return option in _call(["doctor", "--help"]).stdout


def _call(args: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gainstage", *args]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own command


def _examine(script: Path, folder: Path, extra: Sequence[str]) -> dict[str, Any]:
    """The doctor's verdict on a script, as its JSON says it."""
    target = folder / f"{script.stem}.json"
    options = ["--no-report", "--json", str(target), "--dir", str(folder), *extra]
    done = _call(["doctor", *options, str(script)])
    if not target.is_file():
        return {"findings": [], "problem": done.stderr.strip()[-300:] or "no verdict"}
    told: dict[str, Any] = json.loads(target.read_text())
    return told


def _case(script: str, expected: dict[str, Any], told: dict[str, Any], seconds: float) -> Case:
    findings = [f for f in told["findings"] if f["severity"] != "info"]
    return Case(
        script=script,
        codes=tuple(expected["codes"]),
        also_ok=tuple(expected.get("also_ok", ())),
        errors=tuple(f["code"] for f in findings if f["severity"] == "error"),
        told=tuple(f["code"] for f in findings),
        seconds=round(seconds, 2),
        problem=told["problem"],
    )


def _tried(case: Case, script: Path, told: dict[str, Any], folder: Path) -> Case:
    """The case with what came of its remedies, where its fault has any."""
    if case.healthy or not any(map(has_remedy, case.codes)):
        return case
    verified = any(remedy["verified"] for remedy in told.get("remedies", ()))
    helps = learns(
        script, told, folder / "patched", lambda copy: _examine(copy, folder, ["--no-trial"])
    )
    return replace(case, verified=verified, patched=helps)


def _promises(own: Score) -> list[Line]:
    """What the doctor promises; shares of the scripts that each is about."""
    found = [
        Line("main finding right", ratio=_share(own.main, own.sick), reach=(">=", 0.85)),
        Line("right among the top two", ratio=_share(own.top_two, own.sick), reach=(">=", 0.95)),
        Line("errors per healthy", ratio=_share(own.false_errors, own.healthy), reach=("<=", 0.0)),
        Line(
            "warnings per healthy", ratio=_share(own.false_warnings, own.healthy), reach=("<=", 0.1)
        ),
    ]
    if own.searched:
        verified = _share(own.verified, own.searched)
        found.append(Line("verified remedy", ratio=verified, reach=(">=", 0.9)))
        found.append(Line("its diff applies and helps", ratio=_share(own.patched, own.diffs)))
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _grids(
    settings: Settings, cases: dict[str, list[Case]], scores: dict[str, Score]
) -> tuple[Grid, ...]:
    what = f"{settings.half} half" + (f", {settings.vary} versions each" if settings.vary else "")
    judged = {line.name: _judged(line) for line in _promises(scores[OURS])}
    rows = [
        (label, *(write(one) for one in scores.values()), *judged.get(label, ("", "")))
        for label, write in FIGURES.items()
        if settings.trials or label not in OF_TRIALS
    ]
    table = Grid(f"doctor: {what}", ("", *scores, "promised", ""), rows)
    wrong = [
        (case.script, "/".join(case.codes) or "healthy", _listed(case), case.problem[:40])
        for case in cases[OURS]
        if (case.told if case.healthy else not case.right(1))
    ]
    misses = Grid("not as expected", ("script", "fault", "told", "problem"), wrong)
    pairs = [(a, b, str(times)) for a, b, times in confusion(cases[OURS])]
    failed = [
        (case.script, "/".join(case.codes), "its diff" if case.verified else "none is verified")
        for case in cases[OURS]
        if False in (case.verified, case.patched)
    ]
    remedies = Grid("remedies", ("script", "fault", "what fails"), failed)
    return table, misses, remedies, Grid("confusion", ("fault", "main finding", "scripts"), pairs)


def _judged(line: Line) -> tuple[str, str]:
    if line.reach is None:
        return "", ""
    sign, bound = line.reach
    return f"{sign} {bound:g}", "reached" if line.reached else "MISSED"


def _listed(case: Case) -> str:
    return (
        ", ".join(code if code in case.errors else f"({code})" for code in case.told) or "nothing"
    )


def _seen() -> bool:
    return sys.stderr.isatty()
