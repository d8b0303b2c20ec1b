"""``gainstage bench``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from gainstage.bench import Line


@click.command()
@click.argument("name", required=False)
@click.option("--peers", is_flag=True, help="Measure wandb and TensorBoard too (extra `bench`).")
def command(name: str | None, peers: bool) -> None:
    """Measure speed, side by side with the alternatives: NAME, or all benchmarks.

    Exit code 1 if a promised figure was not reached.
    """
    from rich.console import Console

    from gainstage.bench import BENCHES

    reached = True
    for key in [name] if name else list(BENCHES):
        lines = BENCHES[key](peers=peers)
        reached &= all(line.reached for line in lines)
        Console().print(_by_workload(key, lines) if lines[0].workload else _table(key, lines))
    sys.exit(0 if reached else 1)


def _table(key: str, lines: Sequence[Line]) -> Table:
    from rich.table import Table

    table = Table("", "median", "ratio", "promised", "", title=key, box=None)
    for line in lines:
        value = "" if line.value is None else f"{line.value:.3f} {line.unit}"
        table.add_row(line.name, value, *_judged(line, digits=2))
    return table


def _by_workload(key: str, lines: Sequence[Line]) -> Table:
    from rich.table import Table

    unit = lines[0].unit
    names = ("workload", "contestant", f"CPU {unit}", f"wall {unit}", "ratio", "promised", "")
    table = Table(*names, title=key, box=None)
    for column in table.columns[2:5]:
        column.justify = "right"
    above = ""
    for line in lines:
        values = ("" if value is None else f"{value:.2f}" for value in (line.value, line.wall))
        shown = "" if line.workload == above else line.workload
        table.add_row(shown, line.name, *values, *_judged(line, digits=3))
        above = line.workload
    return table


def _judged(line: Line, *, digits: int) -> tuple[str, str, str]:
    ratio = "" if line.ratio is None else f"{line.ratio:.{digits}f} x"
    if line.reach is None:
        return ratio, "", ""
    sign, bound = line.reach
    return ratio, f"{sign} {bound:g}", "reached" if line.reached else "MISSED"
