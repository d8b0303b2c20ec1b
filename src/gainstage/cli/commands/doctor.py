"""``gainstage doctor``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gainstage.cli import options


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
    folder: str,
    module: bool,
) -> None:
    """Run SCRIPT unmodified, name what is wrong with its scales, where, and why.

    SCRIPT runs in a child process exactly as `python SCRIPT ARGS` would, is stopped politely
    at the limits, and its run is kept.

    Exit codes: 0 healthy, 1 faults found, 2 the script or the tool failed.
    """
    from rich.console import Console

    from gainstage.diagnosis import diagnose
    from gainstage.doctor import observe, verdict
    from gainstage.render.text import print_verdict
    from gainstage.run import manuals
    from gainstage.store import save_findings

    seen = observe(script, args, module=module, steps=steps, seconds=seconds, folder=folder)
    problem = seen.problem
    if seen.recording is None:
        click.echo(f"gainstage: {problem}", err=True)
        sys.exit(2)
    findings = diagnose(seen.recording)
    save_findings(seen.path, findings)
    result = verdict(seen.recording, findings, run=str(seen.path), problem=problem)
    if json_file:
        Path(json_file).write_bytes(result.to_json())
    console = Console()
    if seen.trained:
        print_verdict(console, seen.recording, findings, manuals=manuals())
    if problem:
        console.print(f"\n{problem}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"\nrun     {seen.path}", markup=False, highlight=False, soft_wrap=True)
    if seen.trained and not no_report:
        from gainstage.render.report import write_report

        target = Path(report) if report else seen.path.with_suffix(".html")
        write_report(seen.recording, findings, manuals(), target)
        console.print(f"report  {target}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(result.exit_code)
