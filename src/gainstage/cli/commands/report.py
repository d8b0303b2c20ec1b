"""``gainstage report``."""

from __future__ import annotations

import click

from gainstage.cli import options


@click.command()
@click.argument("run", default="latest")
@click.option("-o", "--output", type=options.NewFile(), help="Default: the run's name with .html.")
@options.folder
def command(run: str, *, output: str | None, folder: str) -> None:
    """Write the report on a stored RUN as one self-contained html file."""
    from gainstage.run import open as open_run

    opened = open_run(run, dir=folder)
    click.echo(opened.report(output or opened.path.with_suffix(".html")))
