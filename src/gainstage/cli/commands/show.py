"""``gainstage show``."""

from __future__ import annotations

import click

from gainstage.cli import options


@click.command()
@click.argument("run", default="latest")
@click.option("--step", type=int, help="Levels at that step instead of the median over the run.")
@options.folder
def command(run: str, *, step: int | None, folder: str) -> None:
    """Show a stored RUN: its findings, the level of every stage, the remedies that were tried.

    RUN is a file, an id or its beginning, or `latest`.
    """
    from rich.console import Console

    from gainstage.render.remedies import print_remedies
    from gainstage.render.text import print_verdict
    from gainstage.run import manuals
    from gainstage.run import open as open_run

    opened = open_run(run, dir=folder)
    console, recording = Console(), opened.recording
    print_verdict(console, recording, tuple(opened.diagnose()), manuals=manuals(), step=step)
    print_remedies(console, recording.remedies)
