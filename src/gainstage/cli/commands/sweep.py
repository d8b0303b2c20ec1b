"""``gainstage sweep``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from gainstage.cli import options


@click.command()
@click.option("--over", "texts", multiple=True, metavar="NAME=VALUES", help="lr=1e-4..1, init=a,b.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Of each.")
@click.option("--steps", default=300, show_default=True, type=click.IntRange(1), help="Of a run.")
@click.option(
    "--halving", default=3, show_default=True, type=click.IntRange(1), help="1: end none early."
)
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time; one a processor, up to 4.")
@click.option("--backend", default="loky", show_default=True, help="loky, or ray for a cluster.")
@click.option("--seconds", default=600.0, show_default=True, help="End a run that takes longer.")
@click.option("--store", type=click.Path(dir_okay=False), help="File of the trials.")
@click.option("--figure", type=options.NewFile(), help="Write a picture (extra `lab`).")
@click.option("--json", "json_file", type=options.NewFile(), help="Write all trials.")
@options.module
@options.target
def command(
    script: str,
    args: tuple[str, ...],
    *,
    texts: tuple[str, ...],
    store: str | None,
    figure: str | None,
    json_file: str | None,
    module: bool,
    **settings: Any,
) -> None:
    """Run SCRIPT with its ARGS at many learning rates, schemes and seeds; say which is best.

    Axes are --over lr=1e-4..1 --over init=kaiming_normal,xavier_uniform, and lr_scale and clip; the
    value `script` leaves it as the script has it. The script itself is not changed. Trials are kept
    in a file as they end; the same command goes on where it was interrupted. ARGS that look like
    options stand behind `--`.
    """
    from rich.console import Console

    from gainstage.sweeps.scripts import sweep_script
    from gainstage.sweeps.tables import print_sweep

    console = Console()
    place = Path(store) if store else Path("sweeps") / f"{Path(script).stem}.sweep"

    def note(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    try:
        found = sweep_script(script, args, texts, module=module, store=place, note=note, **settings)
    except KeyboardInterrupt:
        click.echo(f"interrupted: what has ended is in {place}; the same command goes on", err=True)
        sys.exit(2)
    print_sweep(console, found)
    note(f"\nstore   {place}")
    if figure:
        found.figure().savefig(figure)
        note(f"figure  {figure}")
    if json_file:
        Path(json_file).write_text(json.dumps(found.plain(), indent=1) + "\n")
    sys.exit(0 if found.best else 1)
