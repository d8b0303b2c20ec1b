"""The level diagram in text: one line a stage, a bar around 0 dB in each direction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from gainstage.render.words import clean, encodable, shorten
from gainstage.views.levels import LevelDiagram, Meter, Stage
from gainstage.views.parameters import ParameterLevels, ParameterTable

_LEVEL, _GAIN = 8, 6
_SCALES = (20, 40, 60, 80, 120, 160, 240, 480, 960)


@dataclass(frozen=True, slots=True)
class Ink:
    """The characters to draw with, and the encoding that has to hold them."""

    full: str
    centre: str
    over: tuple[str, str]
    rule: str
    ellipsis: str
    marks: str
    encoding: str

    def name(self, text: str, width: int) -> str:
        """A stranger's name in exactly `width` cells."""
        shown = encodable(clean(text), self.encoding) or "-"
        return set_cell_size(shorten(shown, width, self.ellipsis), width)


def ink(*, plain: bool, encoding: str) -> Ink:
    """Line-drawing characters for a terminal that has them, else ASCII."""
    if plain or not encoding.lower().startswith("utf"):
        return Ink("#", "|", ("<", ">"), "-", "...", "", encoding)
    return Ink("━", "┃", ("◀", "▶"), "─", "…", "▁▂▃▄▅▆▇█", encoding)


@dataclass(frozen=True, slots=True)
class _Columns:
    name: int
    op: int
    bar: int
    forward: int
    backward: int


def level_lines(diagram: LevelDiagram, width: int, pen: Ink, most: int = 120) -> Iterator[Text]:
    """Header and one line a stage, none wider than `width`.

    Args:
        diagram: what to draw.
        width: cells of the console.
        pen: what to draw with.
        most: more stages than this are shown from both ends.
    """
    stages = diagram.stages
    if not stages:
        yield Text("No stage was measured.", style="dim")
        return
    lay = _layout(diagram, width)
    reference = _entry(diagram)
    yield _header(lay, width)
    for i, stage in enumerate(stages):
        if len(stages) > most and i == most // 2:
            yield Text(f"({len(stages) - most} more stages)"[:width], style="dim")
        if len(stages) <= most or i < most // 2 or i >= len(stages) - (most - most // 2):
            yield _line(stage, lay, width, pen, (diagram.limit, reference))


def parameter_lines(table: ParameterTable, width: int, pen: Ink, most: int = 120) -> Iterator[Text]:
    """Levels of each parameter, its gradient and its update, none wider than `width`."""
    rows = table.rows[:most]
    if not rows:
        return
    longest = max(cell_len(clean(row.name)) for row in rows)
    name = max(6, min(max(longest, len("parameter")), width - 3 * (_LEVEL + 2)))
    head = f"{'parameter':<{name}}"[:name] + "".join(
        f"  {title:>{_LEVEL}}" for title in ("weight", "grad", "update")
    )
    yield _fitted(Text(head, style="bold"), width)
    for row in rows:
        cells = "".join(
            f"  {_reading(row, kind):>{_LEVEL}}" for kind in ("weight", "grad", "update")
        )
        yield _fitted(Text(pen.name(row.name, name) + cells), width)
    if len(table.rows) > most:
        yield _fitted(Text(f"({len(table.rows) - most} more)", style="dim"), width)


def _reading(row: ParameterLevels, kind: str) -> str:
    level: float | None = getattr(row, kind)
    return "silent" if kind in row.silent else "-" if level is None else f"{level:.1f}"


def _entry(diagram: LevelDiagram) -> float | None:
    """Level at which the gradient enters the network: that of the last stage that has one."""
    known = (s.backward.level for s in reversed(diagram.stages) if s.backward.level is not None)
    return next(known, None)


def _layout(diagram: LevelDiagram, width: int) -> _Columns:
    names = max(cell_len(clean(stage.name)) for stage in diagram.stages)
    ops = max(cell_len(clean(stage.op)) for stage in diagram.stages)
    op = 0 if width < 46 else min(max(ops, 2), 14 if width >= 100 else 9)
    fixed = 2 * (_LEVEL + 1) + _GAIN + 1 + (op + 1 if op else 0)
    rest = width - fixed
    name = max(5, min(names, rest if rest < 24 else max(rest - 44, 12, rest // 3)))
    bar = min((rest - name) // 2 - 1, 31)
    bar = bar - 1 + bar % 2 if bar >= 5 else 0
    return _Columns(
        name=name,
        op=op,
        bar=bar,
        forward=_scale([stage.forward for stage in diagram.stages]),
        backward=_scale([stage.backward for stage in diagram.stages]),
    )


def _scale(meters: list[Meter]) -> int:
    """The smallest round range in dB that holds all levels."""
    most = max((abs(m.level) for m in meters if m.level is not None), default=0.0)
    return next((scale for scale in _SCALES if most <= scale), _SCALES[-1])


def _header(lay: _Columns, width: int) -> Text:
    parts = ["stage"[: lay.name].ljust(lay.name)]
    parts += ["op".ljust(lay.op)] if lay.op else []
    for title, scale in (("forward", lay.forward), ("backward", lay.backward)):
        parts.append(f"{title:>{_LEVEL}}")
        if lay.bar:
            parts.append(f"+-{scale} dB".center(lay.bar) if lay.bar >= 9 else " " * lay.bar)
        if title == "forward":
            parts.append(f"{'gain':>{_GAIN}}")
    return _fitted(Text(" ".join(parts), style="bold"), width)


def _line(
    stage: Stage, lay: _Columns, width: int, pen: Ink, bounds: tuple[float, float | None]
) -> Text:
    limit, entry = bounds
    line = Text(pen.name(stage.name, lay.name))
    if lay.op:
        line.append(" ").append(pen.name(stage.op, lay.op), style="dim")
    _add_meter(
        line, stage.forward, (lay.bar, lay.forward), pen, _outside(stage.forward, limit, 0.0)
    )
    gain = stage.forward.gain
    line.append(" " + ("" if gain is None else _signed(gain)).rjust(_GAIN))
    _add_meter(
        line, stage.backward, (lay.bar, lay.backward), pen, _outside(stage.backward, limit, entry)
    )
    return _fitted(line, width)


def _signed(gain: float) -> str:
    text = f"{gain:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text


def _outside(meter: Meter, limit: float, reference: float | None) -> bool:
    if meter.silent:
        return True
    return (
        meter.level is not None and reference is not None and abs(meter.level - reference) > limit
    )


def _add_meter(line: Text, meter: Meter, size: tuple[int, int], pen: Ink, outside: bool) -> None:
    style = "bold red" if outside else ""
    told = "silent" if meter.silent else "-" if meter.level is None else f"{meter.level:.1f}"
    line.append(" " + (told + ("!" if outside else " ")).rjust(_LEVEL), style=style)
    if size[0]:
        line.append(" ").append(_bar(meter, size[0], size[1], pen), style=style or "cyan")


def _bar(meter: Meter, width: int, scale: int, pen: Ink) -> str:
    """A bar from the middle (0 dB) to the level: `width` cells, odd."""
    half = width // 2
    if meter.silent:
        return (pen.over[0] + " " * (half - 1) + pen.centre).ljust(width)
    if meter.level is None:
        return " " * half + pen.centre + " " * half
    filled = min(half, math.floor(abs(meter.level) / scale * half + 0.5))
    if meter.level < 0:
        return (pen.full * filled).rjust(half) + pen.centre + " " * half
    return " " * half + pen.centre + (pen.full * filled).ljust(half)


def _fitted(line: Text, width: int) -> Text:
    line.no_wrap, line.overflow = True, "crop"
    line.truncate(width, overflow="crop")
    line.rstrip()
    return line
