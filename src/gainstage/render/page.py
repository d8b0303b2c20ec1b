"""A console to write on: lines that fit, wrapped paragraphs, and lines to be copied."""

from __future__ import annotations

import textwrap
import unicodedata

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gainstage.render.level_lines import Ink
from gainstage.render.words import clean, encodable


class Page:
    """A console with its pen: wrapped paragraphs, indents, never too wide."""

    def __init__(self, console: Console, pen: Ink) -> None:
        self._console = console
        self.pen = pen
        self.width = max(console.width, 1)

    def line(self, text: Text | None = None) -> None:
        """One line, cut at the edge."""
        shown = text or Text()
        shown.truncate(self.width, overflow="crop")
        self._console.print(shown, no_wrap=True, overflow="crop", crop=True, highlight=False)

    def verbatim(self, text: str, style: str = "") -> None:
        """One line that is to be copied: whole, however long."""
        safe = "".join(c for c in text.expandtabs() if unicodedata.category(c)[0] != "C")
        shown = Text(encodable(safe, self.pen.encoding), style=style)
        self._console.print(shown, no_wrap=True, overflow="ignore", crop=False, highlight=False)

    def paragraph(self, text: str, indent: int, *, hang: int = 0, style: str = "") -> None:
        """`text` wrapped behind an indent; the lines after the first hang deeper."""
        words = encodable(clean(text), self.pen.encoding)
        room = max(self.width - indent - hang, 1)
        for i, row in enumerate(_wrapped(words, room)):
            self.line(Text(" " * (indent + (hang if i else 0))).append(row, style=style))


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, wide characters counted as two."""
    lines: list[str] = []
    for line in textwrap.wrap(text, width, break_on_hyphens=False) or [""]:
        rest = line
        while cell_len(rest) > width:
            cut = next(i for i in range(len(rest), 0, -1) if cell_len(rest[:i]) <= width or i == 1)
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return lines
