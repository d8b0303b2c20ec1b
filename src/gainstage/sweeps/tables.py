"""A sweep as text: the best, all combinations, and a map of losses where there are two axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table

from gainstage.render.plain import as_text
from gainstage.render.words import clean, shorten
from gainstage.sweeps.results import Best, Results, Row
from gainstage.sweeps.space import Value, told

_MOST: Final = 40
"""Rows of a table."""

_RANGE: Final = 3
"""Numbers from which on an axis is a range that can be too narrow, and no choice of a few."""

_WHOLE: Final = 0.9
"""Share of the steps from which on a training was a whole one: curves are thinned out."""


def sweep_text(sweep: Results, width: int = 100) -> str:
    """What a sweep found."""
    return as_text(lambda console: print_sweep(console, sweep), width)


def print_sweep(console: Console, sweep: Results) -> None:
    """Print what a sweep found."""
    best = sweep.best
    if len(sweep.axes) == 2:
        console.print(_map(sweep))
        console.print()
    console.print(_table(sweep, best))
    console.print()
    for line in best_told(sweep, best):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def best_told(sweep: Results, best: Best | None) -> list[str]:
    """The best combination and how sure that is, in a few lines."""
    if best is None:
        why = next((row.failed for row in sweep.rows if row.failed), "no loss was finite")
        return [f"No combination is best: every training failed or diverged ({clean(why)})."]
    row = best.row
    found = f"best    {row}: loss {row.mean:.4g}"
    low, high = row.interval
    if math.isfinite(row.spread):
        found += f", 95 % interval {low:.4g} to {high:.4g} over {len(row.trials)} seeds"
    return [found, f"        {_others(best)}", *(f"        {line}" for line in _edges(sweep, best))]


def _others(best: Best) -> str:
    """How it stands to the others."""
    if not best.ties:
        return "No other that was trained to the end is as good."
    if len(best.row.trials) < 2:
        return "One seed cannot tell it from the others: give more --seeds."
    names = "; ".join(map(str, best.ties[:6]))
    more = f"; and {len(best.ties) - 6} more" if len(best.ties) > 6 else ""
    return f"The seeds do not tell it from: {names}{more}."


def _edges(sweep: Results, best: Best) -> Iterator[str]:
    """Which numbers are the least or largest that were tried: beyond may be better ones."""
    ties = best.ties if len(best.row.trials) > 1 else ()  # with one seed all are
    points = [dict(row.point) for row in (best.row, *ties)]
    for axis in sweep.axes:
        if not axis.is_logarithmic or len(axis.values) < _RANGE:
            continue
        least, *between, largest = sorted(axis.values, key=_number)
        values = [point[axis.name] for point in points]
        none_beyond = values[0] == least == 1 and isinstance(least, int)  # a number of things
        if values[0] in {least, largest} and not (none_beyond or set(values) & set(between)):
            end = "least" if values[0] == least else "largest"
            yield f"{axis.name}={told(values[0])} is the {end} that was tried: look beyond it."


def _number(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _table(sweep: Results, best: Best | None) -> Table:
    ties = set() if best is None else {id(row) for row in best.ties}
    table = Table(*(axis.name for axis in sweep.axes), box=None)
    for heading in ("loss", "seeds' spread", "steps"):
        table.add_column(heading, justify="right")
    table.add_column("")
    ordered = sorted(sweep.rows, key=lambda row: (-row.steps, row.mean))
    for row in ordered[:_MOST]:
        note = clean(shorten(row.failed, 60))
        if best is not None and row is best.row:
            note = "best"
        elif id(row) in ties:
            note = "as good"
        elif row.steps < sweep.steps and not note:
            note = "ended early"
        spread = f"{row.spread:.2g}" if math.isfinite(row.spread) else ""
        cells = [told(value) for _, value in row.point]
        steps = str(row.steps or "")
        if row.made < _WHOLE * row.steps and not row.failed:
            steps = f"{row.made} of {steps}"  # the script ended by itself
        table.add_row(*cells, loss_told(row), spread, steps, note)
    if len(ordered) > _MOST:
        table.add_row(f"and {len(ordered) - _MOST} more")
    return table


def loss_told(row: Row) -> str:
    """The mean loss of a row, or that there is none."""
    return f"{row.mean:.4g}" if math.isfinite(row.mean) else "failed"


def _map(sweep: Results) -> Table:
    """Mean losses by both axes; in brackets where the training was ended early."""
    down, across = sorted(sweep.axes, key=lambda one: (one.is_logarithmic, len(one.values)))
    table = Table(down.name, box=None, title=f"loss by {down.name} and {across.name}")
    for value in across.values:
        table.add_column(told(value), justify="right")
    rows = {row.point: row for row in sweep.rows}
    names = [axis.name for axis in sweep.axes]
    for value in down.values:
        cells = []
        for other in across.values:
            at = {down.name: value, across.name: other}
            row = rows.get(tuple((name, at[name]) for name in names))
            text = "" if row is None else loss_told(row)
            cells.append(f"({text})" if row is not None and row.steps < sweep.steps else text)
        table.add_row(told(value), *cells)
    return table
