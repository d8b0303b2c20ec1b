"""Two runs beside each other in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gainstage.records import Finding
from gainstage.render.words import clean, duration, plural, shorten
from gainstage.views.compare import Comparison, Pair, StagePair

_MOST_STAGES = 24
_MOST_FACTS = 20
_SAME_DB = 0.05


def print_comparison(
    console: Console,
    comparison: Comparison,
    findings: tuple[Sequence[Finding], Sequence[Finding]],
) -> None:
    """Print what two runs have in common and what sets them apart.

    Args:
        console: where to.
        comparison: of the runs.
        findings: on each of them.
    """
    console.print(_whole(comparison, findings))
    if comparison.facts:
        console.print()
        console.print(_facts(comparison))
    console.print()
    if comparison.stages:
        console.print(_levels(comparison.stages))
    for line in _rest(comparison):
        console.print(Text(line))


def _table(title: str, *heads: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title, overflow="ellipsis", no_wrap=True)
    for head in heads:
        table.add_column(Text(head, overflow="fold"), overflow="fold")
    return table


def _whole(comparison: Comparison, findings: tuple[Sequence[Finding], Sequence[Finding]]) -> Table:
    names = [shorten(clean(name), 32) for name in comparison.names]
    table = _table("", *names)
    scripts = [shorten(clean(script), 32) or "(watch)" for script in comparison.scripts]
    rows = {
        "script": scripts,
        "steps": [f"{count:,}" for count in comparison.counts],
        "time": [duration(seconds) for seconds in comparison.seconds],
        "chance loss": _figures(comparison.chance),
        "last loss": _figures(comparison.last),
        "findings": [_codes(found) for found in findings],
    }
    for name, pair in rows.items():
        table.add_row(name, *map(Text, pair))
    return table


def _codes(found: Sequence[Finding]) -> str:
    return ", ".join(clean(finding.code) for finding in found) or "none"


def _figures(pair: Pair) -> list[str]:
    return ["-" if value is None else f"{value:.4g}" for value in pair]


def _facts(comparison: Comparison) -> Table:
    table = _table("what differs", "first", "second")
    for key, first, second in comparison.facts[:_MOST_FACTS]:
        texts = [Text(shorten(clean(text), 28) or "-") for text in (first, second)]
        table.add_row(Text(shorten(clean(key).replace("_", " "), 24)), *texts)
    return table


def _levels(stages: Sequence[StagePair]) -> Table:
    """The stages whose levels differ most, in forward order."""
    picked = sorted(range(len(stages)), key=lambda i: -_apart(stages[i]))[:_MOST_STAGES]
    table = Table(box=None, pad_edge=False)
    table.add_column("stage", overflow="ellipsis", no_wrap=True)
    for head in ("forward dB", "", "by", "backward dB", "", "by"):
        table.add_column(head, justify="right", no_wrap=True)
    for index in sorted(picked):
        stage = stages[index]
        cells = [cell for pair in (stage.forward, stage.backward) for cell in _cells(pair)]
        table.add_row(Text(shorten(clean(stage.name), 28)), *cells)
    return table


def _cells(pair: Pair) -> list[str]:
    shown = ["-" if level is None else f"{level:.1f}" for level in pair]
    difference = _difference(pair)
    return [*shown, "" if difference is None else f"{difference:+.1f}"]


def _difference(pair: Pair) -> float | None:
    first, second = pair
    return None if first is None or second is None else second - first


def _apart(stage: StagePair) -> float:
    known = (_difference(pair) for pair in (stage.forward, stage.backward))
    return max((abs(d) for d in known if d is not None), default=0.0)


def _rest(comparison: Comparison) -> list[str]:
    lines = []
    if comparison.stages and all(_apart(stage) < _SAME_DB for stage in comparison.stages):
        lines.append("Every stage that both have is as loud in one as in the other.")
    more = len(comparison.stages) + comparison.left_out - _MOST_STAGES
    if more > 0:
        lines.append(f"{plural(more, 'stage')} that differ less are not shown.")
    for count, which in zip(comparison.only, ("first", "second"), strict=True):
        if count:
            lines.append(f"{plural(count, 'stage')} in the {which} alone.")
    return lines
