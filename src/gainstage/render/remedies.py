"""The remedies for a terminal, a log file or a pipe: what was changed, and whether it helped."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gainstage.records import Curve, Remedy
from gainstage.render.level_lines import ink
from gainstage.render.page import Page
from gainstage.render.words import clean, encodable

_LEGEND = (
    "loss: its median over the last tenth of the steps, one a seed. learnt: the share of the way "
    "from the loss of knowing nothing to a loss of zero."
)


def print_remedies(console: Console, remedies: Sequence[Remedy]) -> None:
    """Print the remedies that were tried, verified ones first.

    Args:
        console: where to; nothing printed is wider than it, but the lines of a diff.
        remedies: as the trials left them.
    """
    page = Page(console, ink(plain=not console.is_terminal, encoding=console.encoding))
    for i, remedy in enumerate(remedies):
        page.line()
        _remedy(page, remedy, compared=i == 0)
    if remedies:
        page.line()
        page.paragraph(_LEGEND, 0, style="dim")
    if remedies and not any(remedy.verified for remedy in remedies):
        page.line()
        page.paragraph("No remedy that was tried is verified.", 0, style="bold")


def _remedy(page: Page, remedy: Remedy, *, compared: bool) -> None:
    """One remedy; what all are compared with is told once."""
    word, style = ("VERIFIED", "bold green") if remedy.verified else ("NOT VERIFIED", "bold yellow")
    name = encodable(clean(remedy.name), page.pen.encoding)
    page.line(Text(word, style=style).append(" ").append(name, style="bold"))
    asked = ", ".join(map(clean, remedy.codes))
    page.paragraph(f"for {asked}" if asked else "suggested by no finding", 2, style="dim")
    page.paragraph(remedy.told, 2)
    rows = [("with it", "remedy", remedy.loss_after, remedy.score_after)]
    if compared:
        rows.insert(0, ("unchanged", "unchanged", remedy.loss_before, remedy.score_before))
        control = f"control: {remedy.control_name}"
        rows.append((control, "control", remedy.control, remedy.score_control))
    wide = max(len(name) for name, *_ in rows)
    drawn = _drawn(remedy.curves, page.pen.marks)
    for name, run, losses, scores in rows:
        if losses:
            numbers = f"loss {_losses(losses)}  learnt {_shares(scores)}"
            curve = f"  {drawn.get(run, '')}".rstrip()
            if 6 + wide + len(numbers) > page.width:  # a figure that is cut would be another one
                page.paragraph(name, 4)
                page.paragraph(numbers.replace("  ", "; "), 6)
                continue
            told = Text(f"    {name:<{wide}}  {numbers}")
            fits = told.cell_len + len(curve) <= page.width
            page.line(told.append(curve if fits else "", style="cyan"))
    if not remedy.verified:
        return
    page.line(Text("  How to write it:", style="bold"))
    page.paragraph(remedy.change, 4)
    if remedy.diff:
        page.line()
        for line in remedy.diff.splitlines():
            page.verbatim("    " + line, _DIFF.get(line[:1], ""))
    elif remedy.where:
        page.paragraph(f"Where: {remedy.where}", 4, style="dim")


def _drawn(curves: Sequence[Curve], marks: str) -> dict[str, str]:
    """The loss with the first seed over the steps, on one scale for all runs; above it: the top."""
    firsts = {curve.run: curve.loss for curve in curves if curve.seed == 0}
    known = [x for loss in firsts.values() for x in loss if x is not None]
    if not known or not marks:
        return {}
    begins = [next((x for x in loss if x is not None), min(known)) for loss in firsts.values()]
    low, high = min(known), min(max(known), _HIGHEST * max(begins))
    log = low > 0 and high > _WIDE * low

    def mark(value: float | None) -> str:
        if value is None:
            return " "
        inside = min(max(value, low), max(low, high))
        part, whole = inside - low, (high - low) or 1.0
        if log:
            part, whole = math.log(inside / low), math.log(high / low)
        return marks[round(part / whole * (len(marks) - 1))]

    return {
        run: "".join(mark(loss[(i + 1) * len(loss) // cells - 1]) for i in range(cells))
        for run, loss in firsts.items()
        for cells in [min(_CELLS, len(loss))]
    }


_CELLS, _HIGHEST, _WIDE = 20, 3.0, 30.0

_DIFF = {"+": "green", "-": "red", "@": "cyan"}


def _losses(losses: Sequence[float | None]) -> str:
    return ", ".join("diverged" if loss is None else f"{loss:.4g}" for loss in losses)


def _shares(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:.0%}" for score in scores)
