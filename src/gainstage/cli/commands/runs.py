"""``gainstage runs``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gainstage.cli import options


@click.command()
@options.folder
def command(folder: str) -> None:
    """List the stored runs, newest first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gainstage.render.words import clean
    from gainstage.store import list_runs

    found = list_runs(folder)
    if not found:
        click.echo(f"There is no run in '{folder}' yet. Make one: gainstage run train.py")
        return
    table = Table(box=None)
    table.add_column("run", no_wrap=True)
    table.add_column("script", overflow="ellipsis", max_width=24)  # the one that gives way
    for heading in ("started", "steps", "status", "loss", "findings"):
        table.add_column(heading, no_wrap=True)
    for one in found:
        info = one.info
        if info is None:
            table.add_row(Text(one.path.stem), "", "", "", "unreadable", "", "")
            continue
        loss = "" if one.last_loss is None else f"{one.last_loss:.4g}"
        started = time.strftime("%m-%d %H:%M", time.localtime(info.started))
        table.add_row(
            Text(one.path.stem),
            Text(clean(Path(info.script).name) or "(watch)", no_wrap=True),
            started,
            str(one.steps),
            Text(clean(info.status)),
            loss,
            str(one.findings or "-"),  # none is kept: it is healthy, or was not judged
        )
    Console().print(table)
    for problem in filter(None, (one.problem for one in found)):
        click.echo(f"\n{problem}")
