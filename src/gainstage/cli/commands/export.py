"""``gainstage export``."""

from __future__ import annotations

import click

from gainstage.cli import options


@click.command()
@click.argument("run", default="latest")
@click.option("--to", "tracker", required=True, help="tensorboard, wandb, mlflow or trackio.")
@click.option("-o", "--output", "place", help="Folder to write to; for trackio, the project.")
@click.option(
    "--only", "patterns", multiple=True, metavar="PATTERN", help="Names, such as 'level/*'."
)
@click.option("--every", default=1, show_default=True, help="One of so many steps.")
@options.folder
def command(
    run: str,
    *,
    tracker: str,
    place: str | None,
    patterns: tuple[str, ...],
    every: int,
    folder: str,
) -> None:
    """Hand RUN on to an experiment tracker: levels, update ratios, histograms, findings.

    Nothing leaves this machine: files are written that the tracker's own tools read.
    """
    from gainstage import sinks
    from gainstage.run import open as open_run

    make = sinks.TRACKERS[tracker]
    stored = open_run(run, dir=folder)
    sink = make(place) if place is not None else make()
    steps = stored.send(sinks.choose(sink, *patterns, every=every))
    click.echo(f"{steps} steps of {stored.info.id} handed on to {tracker}")
