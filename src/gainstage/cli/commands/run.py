"""``gainstage run``."""

from __future__ import annotations

import sys

import click

from gainstage.cli import options


@click.command(context_settings=options.PASS_THROUGH)
@click.option("--steps", default=0, show_default=True, help="Stop after that many steps; 0: no.")
@click.option(
    "--seconds", default=0.0, show_default=True, help="Stop that long after the first step; 0: no."
)
@options.folder
@options.module
@options.target
def command(
    script: str,
    args: tuple[str, ...],
    *,
    steps: int,
    seconds: float,
    folder: str,
    module: bool,
) -> None:
    """Run SCRIPT with its ARGS under observation and keep the run.

    The exit code is the script's own.
    """
    from gainstage.doctor import observe

    seen = observe(script, args, module=module, steps=steps, seconds=seconds, folder=folder)
    if seen.trained and seen.recording is not None:
        count = len(seen.recording.steps)
        kept = "1 step" if count == 1 else f"{count} steps"
        click.echo(f"gainstage: {kept} kept in {seen.path}", err=True)
        click.echo(f"gainstage: look at them with: gainstage show {seen.path}", err=True)
    else:
        click.echo(f"gainstage: {seen.problem}", err=True)
    sys.exit(seen.code if seen.code >= 0 else 128 - seen.code)
