"""``gainstage bench``."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Measure speed, side by side with the alternatives: NAME, or all benchmarks.

    Exit code 1 if a promised figure was not reached.
    """
    from rich.console import Console
    from rich.table import Table

    from gainstage.bench import BENCHES

    reached = True
    for key in [name] if name else list(BENCHES):
        lines = BENCHES[key]()
        table = Table("", "median", "ratio", "promised", "", title=key, box=None)
        for line in lines:
            reached &= line.reached
            promise = "" if line.reach is None else f"{line.reach[0]} {line.reach[1]:g}"
            ratio = "" if line.ratio is None else f"{line.ratio:.2f} x"
            verdict = "" if line.reach is None else ("reached" if line.reached else "MISSED")
            value = "" if line.value is None else f"{line.value:.3f} {line.unit}"
            table.add_row(line.name, value, ratio, promise, verdict)
        Console().print(table)
    sys.exit(0 if reached else 1)
