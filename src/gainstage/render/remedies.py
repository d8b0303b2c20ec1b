"""The remedies for a terminal, a log file or a pipe: what was changed, and whether it helped."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gainstage.records import Remedy
from gainstage.render.level_lines import ink
from gainstage.render.page import Page
from gainstage.render.words import clean, encodable


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
    if remedies and not any(remedy.verified for remedy in remedies):
        page.line()
        page.paragraph("No remedy that was tried is verified.", 0, style="bold")


def _remedy(page: Page, remedy: Remedy, *, compared: bool) -> None:
    """One remedy; what all are compared with is told once."""
    word, style = ("VERIFIED", "bold green") if remedy.verified else ("NOT VERIFIED", "bold yellow")
    name = encodable(clean(remedy.name), page.pen.encoding)
    page.line(Text(word, style=style).append(" ").append(name, style="bold"))
    page.paragraph(f"for {', '.join(map(clean, remedy.codes))}", 2, style="dim")
    page.paragraph(remedy.told, 2)
    rows = [("with it", remedy.loss_after, remedy.score_after)]
    if compared:
        rows.insert(0, ("unchanged", remedy.loss_before, remedy.score_before))
        rows.append((f"control: {remedy.control_name}", remedy.control, remedy.score_control))
    wide = max(len(name) for name, _, _ in rows)
    for name, losses, scores in rows:
        if losses:
            page.line(Text(f"    {name:<{wide}}  loss {_losses(losses)}  learnt {_shares(scores)}"))
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


_DIFF = {"+": "green", "-": "red", "@": "cyan"}


def _losses(losses: Sequence[float | None]) -> str:
    return ", ".join("none" if loss is None else f"{loss:.4g}" for loss in losses)


def _shares(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:.0%}" for score in scores)
