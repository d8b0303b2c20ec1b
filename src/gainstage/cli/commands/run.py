"""``gainstage run``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gainstage.cli import options

if TYPE_CHECKING:
    from gainstage.recording import Recording


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

    The exit code is the script's own. With several processes:
    torchrun --nproc-per-node 2 -m gainstage run SCRIPT
    """
    from gainstage.doctor import observe
    from gainstage.store import rank_in

    seen = observe(script, args, module=module, steps=steps, seconds=seconds, folder=folder)
    rank = rank_in(os.environ)
    if seen.trained and seen.recording is not None:
        place = seen.path.parent if rank else seen.path
        if rank is None or rank.number == 0:  # one word for all
            _tell(seen.recording, place)
    else:
        click.echo(f"gainstage: {seen.problem}", err=True)
    sys.exit(seen.code if seen.code >= 0 else 128 - seen.code)


def _tell(recording: Recording, place: Path) -> None:
    count = len(recording.steps)
    kept = "1 step" if count == 1 else f"{count} steps"
    click.echo(f"gainstage: {kept} kept in {place}", err=True)
    click.echo(f"gainstage: look at them with: gainstage show {place}", err=True)
