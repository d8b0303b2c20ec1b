"""``gainstage bench``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gainstage.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from gainstage.bench import Grid, Line, Outcome


@click.command()
@click.argument("name", required=False)
@click.option("--peers", is_flag=True, help="Measure other tools too (extra `bench`).")
@click.option(
    "--half", default="dev", show_default=True, help="Half of the corpus, for `doctor`: dev, held."
)
@click.option("--vary", default=0, help="That many varied versions of each script, for `doctor`.")
@click.option("--baseline", is_flag=True, help="Score the published thresholds too, for `doctor`.")
@click.option("--trials", is_flag=True, help="Try remedies as well, for `doctor`; slow.")
@click.option("--json", "json_file", type=options.NewFile(), help="Write all figures.")
def command(name: str | None, json_file: str | None, **settings: Any) -> None:
    """Measure speed, overhead and verdicts: NAME, or all benchmarks.

    Exit code 1 if a promised figure was not reached.
    """
    from rich.console import Console

    from gainstage.bench import BENCHES, Settings
    from gainstage.errors import UsageError

    reached, data = True, {}
    for key in [name] if name else list(BENCHES):
        try:
            outcome = BENCHES[key](Settings(**settings))
        except UsageError as error:
            if name:
                raise
            click.echo(f"{key} was left out. {error}", err=True)
            continue
        reached &= all(line.reached for line in outcome.lines)
        for table in _tables(key, outcome):
            Console().print(table)
        data[key] = {"lines": [asdict(line) for line in outcome.lines], **outcome.data}
    if json_file:
        Path(json_file).write_text(json.dumps(data, indent=1) + "\n")
    sys.exit(0 if reached else 1)


def _tables(key: str, outcome: Outcome) -> list[Table]:
    if outcome.grids:
        return [_plain(grid) for grid in outcome.grids if grid.rows]
    lines = outcome.lines
    return [_by_workload(key, lines) if lines[0].workload else _table(key, lines)]


def _plain(grid: Grid) -> Table:
    from rich.table import Table

    table = Table(*grid.header, title=grid.title, box=None)
    for row in grid.rows:
        table.add_row(*row)
    return table


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
