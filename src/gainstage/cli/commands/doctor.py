"""``gainstage doctor``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gainstage.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from gainstage.doctor import Observation, Treatment
    from gainstage.recording import Recording
    from gainstage.records import Finding, Remedy


@click.command(context_settings=options.PASS_THROUGH)
@click.option("--steps", default=1000, show_default=True, help="Stop after that many steps; 0: no.")
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    help="Stop that long after the first step; 0: no.",
)
@click.option("--json", "json_file", type=options.NewFile(), help="Write the verdict.")
@click.option("--report", type=options.NewFile(), help="Where the html report goes.")
@click.option("--no-report", is_flag=True, help="Write no html report.")
@click.option("--no-trial", is_flag=True, help="Name faults only; try no remedy.")
@click.option(
    "--trials", default=3, show_default=True, type=click.IntRange(1), help="Remedies to try."
)
@click.option(
    "--seeds", default=2, show_default=True, type=click.IntRange(2), help="Seeds of each trial."
)
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time; one a processor, up to 4.")
@click.option("--write-patch", type=options.NewFile(), help="Write the verified fix as a diff.")
@options.folder
@options.module
@options.target
def command(  # noqa: PLR0913 - one argument an option
    script: str,
    args: tuple[str, ...],
    *,
    steps: int,
    seconds: float,
    json_file: str | None,
    report: str | None,
    no_report: bool,
    no_trial: bool,
    trials: int,
    seeds: int,
    jobs: int | None,
    write_patch: str | None,
    folder: str,
    module: bool,
) -> None:
    """Run SCRIPT unmodified, name what is wrong with it, where and why, and prove what helps.

    SCRIPT runs in a child process exactly as `python SCRIPT ARGS` would, is stopped politely
    at the limits, and its run is kept. Remedies for what was found are then tried on it, against
    the unchanged script and a control; a healthy script is run once.

    Exit codes: 0 healthy, 1 faults found, 2 the script or the tool failed, or was interrupted.
    Ctrl-C while remedies are tried ends that; all that is known by then is told and written.
    """
    from rich.console import Console

    from gainstage.doctor import Effort, Treatment, Workplace, exit_on_hangup, observe, verdict
    from gainstage.store import rank_in

    console = Console()
    alone = not no_trial and rank_in(os.environ) is None
    with exit_on_hangup(), Workplace(script, module=module) if alone else nullcontext() as place:
        seen = observe(
            script,
            args,
            module=module,
            steps=steps,
            seconds=seconds,
            folder=folder,
            keep_input=place.input if place else "",
        )
        recording, findings = _judge(console, seen)
        effort = Effort(trials, seeds, jobs)
        treatment = Treatment(seen, findings, args, workplace=place, module=module, effort=effort)
        remedies = _try(console, treatment, seen.path)
    problem = " ".join(filter(None, (seen.problem, treatment.problem)))
    told = verdict(recording, findings, run=str(seen.path), problem=problem, remedies=remedies)
    if json_file:
        Path(json_file).write_bytes(told.to_json())
    if write_patch and not told.healthy:
        _write_patch(console, remedies, Path(write_patch))
    _say(console, f"\nrun     {seen.path}")
    if seen.trained and not no_report:
        _write_report(console, seen.path, report)
    sys.exit(told.exit_code)


def _judge(console: Console, seen: Observation) -> tuple[Recording, tuple[Finding, ...]]:
    """Diagnose, keep what was found with the run, and tell it; leave if there is no run."""
    from gainstage.diagnosis import diagnose
    from gainstage.render.text import print_verdict
    from gainstage.run import manuals
    from gainstage.store import save_findings

    if seen.recording is None:
        click.echo(f"gainstage: {seen.problem}", err=True)
        sys.exit(2)
    findings = diagnose(seen.recording)
    save_findings(seen.path, findings)
    if seen.trained:
        print_verdict(console, seen.recording, findings, manuals=manuals())
    _say(console, seen.problem and f"\n{seen.problem}")
    return seen.recording, findings


def _write_report(console: Console, run: Path, report: str | None) -> None:
    from gainstage.render.report import write_report
    from gainstage.run import manuals
    from gainstage.store import open_recording

    target = Path(report) if report else run.with_suffix(".html")
    write_report(open_recording(run), None, manuals(), target)
    _say(console, f"report  {target}")


def _try(console: Console, treatment: Treatment, run: Path) -> tuple[Remedy, ...]:
    """Say what trials will cost, make them, tell what came of them, and keep it with the run."""
    from gainstage.render.remedies import print_remedies
    from gainstage.store import save_remedies

    if not treatment.cost:
        return ()
    _say(console, f"\n{treatment.cost}")
    remedies = treatment.remedies()
    print_remedies(console, remedies)
    for told in (treatment.warning, treatment.problem):
        _say(console, told and f"\n{told}")
    save_remedies(run, remedies)
    return remedies


def _say(console: Console, text: str) -> None:
    if text:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _write_patch(console: Console, remedies: Sequence[Remedy], path: Path) -> None:
    """Write the first verified fix that can be said as a diff; say if there is none."""
    diffs = [remedy.diff for remedy in remedies if remedy.verified and remedy.diff]
    if not diffs:
        _say(console, f"\nThere is no verified fix as a diff, so '{path}' was not written.")
        return
    path.write_bytes(diffs[0].encode())  # its line breaks are the file's
    _say(console, f"\npatch   {path}")
