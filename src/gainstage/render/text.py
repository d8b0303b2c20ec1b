"""The verdict for a terminal, a log file or a pipe: findings first, then the level diagram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gainstage.recording import Recording
from gainstage.records import Finding
from gainstage.render.level_lines import ink, level_lines, parameter_lines
from gainstage.render.page import Page
from gainstage.render.plain import as_text
from gainstage.render.words import (
    advice,
    blindness_told,
    clean,
    duration,
    effort_told,
    encodable,
    plural,
    shorten,
    sinks_told,
    spoken,
)
from gainstage.views.findings import Card, finding_cards
from gainstage.views.levels import LevelDiagram, level_diagram
from gainstage.views.loss import loss_chart
from gainstage.views.parameters import parameter_table

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
_SO_FAR = {
    "failed": "nothing was found in the steps before the script failed",
    "interrupted": "nothing was found in the steps before the script was interrupted",
    "running": "healthy so far: nothing was found that hurts this training",
}
_LEGEND = (
    "0 dB: an rms of 1. ! forward beyond +-40 dB, or silent: nothing but zeros. < off the scale. "
    "Backward levels depend on the loss: compare them with each other, not with 0 dB."
)
_MOST_NAME = 60


def print_verdict(
    console: Console,
    recording: Recording,
    findings: Sequence[Finding] | None = None,
    *,
    manuals: Mapping[str, str] | None = None,
    step: int | None = None,
) -> None:
    """Print what was found, what to do about it, and the level diagram.

    A console that is not a terminal gets neither colour nor anything but ASCII around the names.

    Args:
        console: where to; nothing printed is wider than it.
        recording: the run.
        findings: what the rules found; None for what is stored with the run.
        manuals: a rule's manual by its code; from it comes what to do.
        step: step of the level diagram; None for the median over the run.
    """
    pen = ink(plain=not console.is_terminal, encoding=console.encoding)
    page = Page(console, pen)
    cards = finding_cards(recording, findings, manuals)
    _headline(page, recording, cards.healthy, [card.severity for card in cards.cards])
    for card in cards.cards:
        page.line()
        _finding(page, card)
    page.line()
    diagram = level_diagram(recording, step=step)
    page.line(Text(_title(diagram), style="bold"))
    page.line(Text(pen.rule * page.width, style="dim"))
    for line in level_lines(diagram, page.width, pen):
        page.line(line)
    if diagram.stages:
        page.paragraph(_LEGEND, 0, style="dim")


def levels_table(recording: Recording, step: int | None = None, *, width: int = 100) -> str:
    """The level of every stage and parameter as plain text, none of its lines over `width`.

    Args:
        recording: the run, or a single pass.
        step: which step; None for the median over the run.
        width: cells that a line may take.

    Example:
        >>> from gainstage.records import Site
        >>> from gainstage.recording import MemoryRecording
        >>> site = Site(0, "fc", "output", "fc", "Linear", 0)
        >>> print(levels_table(MemoryRecording([site], {(0, "rms"): [0.1]}), width=60))
        stage op      forward  +-20 dB    gain backward  +-20 dB
        fc    Linear   -20.0  ####|                  -      |
    """
    pen = ink(plain=True, encoding="utf-8")
    diagram, table = level_diagram(recording, step=step), parameter_table(recording, step=step)

    def write(console: Console) -> None:
        page = Page(console, pen)
        for line in level_lines(diagram, width, pen):
            page.line(line)
        if table.rows:
            page.line()
            for line in parameter_lines(table, width, pen):
                page.line(line)

    return as_text(write, width)


def _headline(page: Page, recording: Recording, healthy: bool, severities: list[str]) -> None:
    info = recording.info
    script = clean(info.script) or clean(info.id)
    page.line(
        Text("GAINSTAGE  ", style="bold").append(
            encodable(shorten(script, page.width - 11, page.pen.ellipsis), page.pen.encoding)
        )
    )
    if not len(recording.steps) and not severities:
        page.line(Text("no verdict: no step was recorded", style="bold cyan"))
    elif healthy and info.status in _SO_FAR:
        page.line(Text(_SO_FAR[info.status], style="bold cyan"))
    elif healthy:
        page.line(Text("healthy: nothing was found that hurts this training", style="bold green"))
    else:
        counts = Counter(severities)
        words = {"error": "error", "warning": "warning", "info": "note"}
        parts = [plural(counts[key], word) for key, word in words.items() if counts[key]]
        told = f"{plural(len(severities), 'finding')}: {', '.join(parts)}"
        page.line(Text(told, style=_STYLES["error" if counts["error"] else "warning"]))
    loss = loss_chart(recording)
    facts = [plural(len(recording.steps), "step"), duration(recording.seconds)]
    facts += ["stopped at the limit"] if info.status == "stopped" else []
    facts += [f"overhead {info.overhead:.1%}"] if info.probe_seconds else []
    facts += sinks_told(info)
    facts += ["read by samples"] if info.detail == "sampled" else []
    facts += effort_told(recording)
    if loss.first is not None and loss.last is not None:
        facts.append(f"loss {loss.first:.4g} to {loss.last:.4g}")
    facts += [f"chance {loss.chance:.4g}"] if loss.chance is not None else []
    page.paragraph(", ".join(facts), 0, style="dim")
    for told in blindness_told(recording):
        page.paragraph(f"The watch {told}.", 0, style="yellow")


def _finding(page: Page, card: Card) -> None:
    indent = min(4 * card.depth, page.width // 3)
    head = Text(" " * indent)
    head.append(card.severity.upper(), style=_STYLES.get(card.severity, "bold"))
    name = encodable(shorten(clean(card.code), _MOST_NAME), page.pen.encoding)
    head.append(" ").append(name, style="bold")
    page.line(head)
    indent += 2
    page.paragraph(_where(card), indent, style="dim")
    page.paragraph(card.message, indent)
    if card.depth:  # it goes with its cause; the report has its numbers
        page.paragraph(f"More: gainstage explain {clean(card.code)}", indent, style="dim")
        return
    _evidence(page, card, indent + 2)
    told = advice(card.manual)
    if told:
        page.line(Text(" " * indent).append("What to do:", style="bold"))
    for text in told:
        page.paragraph(text, indent + 2, hang=2 if text.startswith("- ") else 0)


def _where(card: Card) -> str:
    parts = [f"at {shorten(clean(card.site), _MOST_NAME)}"] if clean(card.site) else []
    parts.append(f"since step {card.since_step}")
    if card.confidence is not None:
        parts.append(f"confidence {card.confidence:.0%}")
    if card.depth:
        causes = ", ".join(shorten(clean(code), _MOST_NAME) for code in card.because[:4])
        parts.append(f"because of {causes}")
    return ", ".join(parts)


def _evidence(page: Page, card: Card, indent: int) -> None:
    """The numbers, one a line, with what each was held against."""
    keys = {key: shorten(clean(key), 32) for key in [*card.evidence][:24]}
    wide = max(map(cell_len, keys.values()), default=0)
    values = {key: shorten(spoken(card.evidence[key]), 48) for key in keys}
    held = [cell_len(values[key]) for key in keys if key in card.threshold]
    right = max(held, default=0)
    for key, name in keys.items():
        pad = " " * (wide - cell_len(name) + 2)
        row = name + pad + values[key]
        if key in card.threshold:
            row += " " * (right - cell_len(values[key]) + 2)
            row += f"(threshold {shorten(spoken(card.threshold[key]), 24)})"
        shown = encodable(row, page.pen.encoding)
        page.line(Text(" " * indent).append(shorten(shown, page.width - indent)))


def _title(diagram: LevelDiagram) -> str:
    if diagram.at is not None:
        return f"Levels at step {diagram.at}"
    return f"Levels, median over steps {diagram.start} to {diagram.stop}"
