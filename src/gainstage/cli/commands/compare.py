"""``gainstage compare``."""

from __future__ import annotations

import click

from gainstage.cli import options


@click.command()
@click.argument("first")
@click.argument("second")
@options.folder
def command(first: str, second: str, *, folder: str) -> None:
    """Compare two stored runs: FIRST, and SECOND held against it.

    FIRST and SECOND are files, ids or their beginnings, or `latest`.
    """
    from rich.console import Console

    from gainstage.render.comparison import print_comparison
    from gainstage.run import open as open_run
    from gainstage.views.compare import compare_runs

    runs = [open_run(name, dir=folder) for name in (first, second)]
    verdicts = [tuple(run.diagnose()) for run in runs]
    told = compare_runs(runs[0].recording, runs[1].recording)
    print_comparison(Console(), told, (verdicts[0], verdicts[1]))
