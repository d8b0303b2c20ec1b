"""``gainstage range``."""

from __future__ import annotations

import sys
from typing import Any

import click

from gainstage.cli import options


@click.command(context_settings=options.PASS_THROUGH)
@click.option("--low", default=1e-5, show_default=True, help="Rate of the first step.")
@click.option("--high", default=10.0, show_default=True, help="Rate of the last step.")
@click.option("--steps", default=200, show_default=True, help="Of a run.")
@click.option("--seeds", default=6, show_default=True, type=click.IntRange(2), help="Runs.")
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time; one a processor, up to 4.")
@click.option("--backend", default="loky", show_default=True, help="loky, or ray for a cluster.")
@click.option("--seconds", default=600.0, show_default=True, help="End a run that takes longer.")
@click.option("--figure", type=options.NewFile(), help="Write a picture (extra `lab`).")
@options.module
@options.target
def command(
    script: str, args: tuple[str, ...], *, figure: str | None, module: bool, **settings: Any
) -> None:
    """Run SCRIPT with its ARGS and a rate that rises step by step: which rates train it?

    It is run with several seeds, and not changed. The answer is a band, or that there is no
    signal: exit code 1.
    """
    from gainstage.sweeps.figures import figure_range
    from gainstage.sweeps.range_test import range_script

    found = range_script(script, args, module=module, **settings)
    click.echo(str(found))
    if figure:
        figure_range(found).savefig(figure)
        click.echo(f"figure  {figure}")
    sys.exit(0 if found.band else 1)
