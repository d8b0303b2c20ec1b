"""Words and numbers as people read them; names come from strangers and are cleaned here."""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size

from gainstage.recording import Recording
from gainstage.records import RunInfo

_ADVICE = re.compile(
    r"^(what to (do|try)|how to (fix|mend)|to (fix|mend)|fix|try|remedy)\b", re.IGNORECASE
)
_HEADING = re.compile(r"^([A-Z][\w ]{0,30}:|#+ |\S.*\n[-=~]{3,}(?:\n|$))")
_MOST = 2_000  # characters of a hostile text that are looked at


def clean(text: str) -> str:
    r"""One line of `text` without control, bidirectional, zero-width or lone surrogate characters.

    Example:
        >>> clean("a\x1b[31m\u202eb\nc")
        'a[31mb c'
    """
    spaced = " ".join(text[:_MOST].split())
    return "".join(c for c in spaced if unicodedata.category(c)[0] != "C")


def encodable(text: str, encoding: str) -> str:
    r"""`text` with what `encoding` cannot express written as an escape.

    Example:
        >>> encodable("σ 1", "ascii")
        '\\u03c3 1'
    """
    return text.encode(encoding, "backslashreplace").decode(encoding)


def shorten(text: str, width: int, ellipsis: str = "...") -> str:
    """`text` in at most `width` terminal cells: the middle is left out, both ends stay.

    Example:
        >>> shorten("encoder.layers.11.attention.out", 20)
        'encoder.l...tion.out'
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 2:
        return set_cell_size(text, max(width, 0)).rstrip()
    head = set_cell_size(text, (room + 1) // 2).rstrip()
    tail = set_cell_size(text[::-1], room // 2).rstrip()[::-1]
    return head + ellipsis + tail


def spoken(value: object) -> str:
    """A number of the evidence as a person writes it; lists in one line, cut when long.

    Example:
        >>> spoken(0.00017), spoken(-15.1234), spoken(300), spoken([1, 2])
        ('0.00017', '-15.12', '300', '1, 2')
    """
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(str(k))} {spoken(v)}" for k, v in list(value.items())[:8])
    if isinstance(value, (list, tuple)):
        tail = ", ..." if len(value) > 8 else ""
        return ", ".join(spoken(item) for item in value[:8]) + tail
    return clean(str(value))


def duration(seconds: float) -> str:
    """Seconds in the unit that fits.

    Example:
        >>> duration(0.0213), duration(41.7), duration(3720)
        ('21 ms', '41.7 s', '1 h 02 min')
    """
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def plural(count: int, word: str) -> str:
    """`count` and `word`, in the plural if need be.

    Example:
        >>> plural(1, "finding"), plural(2, "finding")
        ('1 finding', '2 findings')
    """
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def effort_told(recording: Recording) -> list[str]:
    """What the governor gave up for its budget, in the end; nothing if there was none."""
    efforts = [event.data for event in recording.events if event.code == "effort"]
    if not efforts:
        return []
    last = efforts[-1]
    lines, every = last.get("lines"), last.get("every")
    told = [f"{lines} lines of each tensor"] if isinstance(lines, int) else []
    told += [f"one step in {every}"] if isinstance(every, int) and every > 1 else []
    return [f"for its budget it came to read {', '.join(told)}"] if told else []


def sinks_told(info: RunInfo) -> list[str]:
    """What each sink took, as a share of the rest of the training; the overhead has it in it.

    Example:
        >>> spent = {"sinks": {"TensorBoard": 0.01}}
        >>> sinks_told(RunInfo("a", 0.0, seconds=1.1, probe_seconds=0.1, facts=spent))
        ['1.0% into TensorBoard']
    """
    spent, rest = info.facts.get("sinks"), info.seconds - info.probe_seconds
    if not isinstance(spent, Mapping) or not rest > 0:
        return []
    return [
        f"{seconds / rest:.1%} into {clean(str(name))}"
        for name, seconds in spent.items()
        if isinstance(seconds, (int, float))
    ]


def blindness_told(recording: Recording) -> list[str]:
    """What the watch could not see, as it found out while the training ran."""
    events = [event for event in recording.events if event.code == "blind" and "told" in event.data]
    return [f"{clean(str(e.data['told']))} (since step {e.step})" for e in events]


def advice(manual: str) -> list[str]:
    r"""The lines of a rule's manual that say what to do; its first paragraph if none says so.

    Example:
        >>> advice("It fades.\n\nWhat to do:\n- start anew.\n\nSource: a book.")
        ['- start anew.']
    """
    plain = inspect.cleandoc(manual).replace("``", "`")
    blocks = [block for block in re.split(r"\n\s*\n", plain) if block.strip()]
    for i, block in enumerate(blocks):
        if not _ADVICE.match(block.lstrip("#* ")):
            continue
        first, *rest = block.splitlines()
        told = [first.partition(":")[2].strip(), *rest]
        for more in blocks[i + 1 :]:
            if _HEADING.match(more):
                break
            told += more.splitlines()
        lines = [line for line in told if line.strip() and not re.fullmatch(r"\s*[-=~]{3,}", line)]
        if lines:
            return _joined(lines)
    return _joined(blocks[0].splitlines()) if blocks else []


def _joined(lines: list[str]) -> list[str]:
    """Wrapped lines put together again; a list's item keeps its own line."""
    out: list[str] = []
    for line in lines:
        text = clean(line.strip())
        starts = re.match(r"([-*]|\d+[.)]) ", text) is not None
        if out and not starts:
            out[-1] += " " + text
        else:
            out.append(text)
    return out
