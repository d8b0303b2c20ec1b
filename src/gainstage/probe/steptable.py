"""The fast way around a step: all float32 parameters in the processor's memory at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gainstage.probe.recorder import Recorder
from gainstage.records import Site
from gainstage.sketch import rows, sampling, steps
from gainstage.sketch.histogram import BINS
from gainstage.sketch.pointers import holds_memory
from gainstage.sketch.reader import kind_of
from gainstage.sketch.rows import Numbers
from gainstage.sketch.tensors import count_float32

WEIGHT: Final = 0
GRAD: Final = 1
UPDATE: Final = 2


_GROUPS: Final = 256
"""Choices of parameters that are remembered: an optimiser in backward steps each by itself."""


class Entered(NamedTuple):
    """A parameter before a step.

    Attributes:
        name: its name.
        parameter: itself.
        grad: its gradient, if it has one.
        sites: of its weight, its gradient and its update, as far as they are known.
    """

    name: str
    parameter: Tensor
    grad: Tensor | None
    sites: dict[int, Site]


@dataclass(slots=True)
class Line:
    """One parameter's line in the table.

    Attributes:
        number: of the line.
        size: its elements.
        place: where its copies begin.
        room: elements that fit there.
        address: where it was read before the step.
        open: it is between before and after.
    """

    number: int
    size: int
    place: int
    room: int
    address: int = 0
    open: bool = False


class Target(NamedTuple):
    """Where the readings of some lines go.

    Attributes:
        lines: those that have a site.
        numbers: int64, theirs.
        places: int64 [n, 2]: row of the readings, and id of the site.
        columns: int64: where in a frame their cosines are; none for weights.
    """

    lines: list[Line]
    numbers: Numbers
    places: Numbers
    columns: Numbers


class Group(NamedTuple):
    """Parameters that are stepped together.

    Attributes:
        lines: theirs.
        numbers: int64, of the lines.
        targets: where readings go, by kind and sites.
    """

    lines: list[Line]
    numbers: Numbers
    targets: dict[tuple[int, ...], Target]


class StepTable:
    """Measures weights, gradients and exact updates by two kernel calls a step.

    Each parameter keeps its line, by name, so that directions compare from step to step.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.release()

    def release(self) -> None:
        """Let go of every copy."""
        self._lines: dict[str, Line] = {}
        self._groups: dict[tuple[object, ...], Group] = {}
        self._room = 0
        self._plan = (0, 0)
        self._table = np.zeros((0, steps.COLUMNS), dtype=np.int64)
        self._weights = np.zeros(0, dtype=np.uint32)
        self._grads = np.zeros(0, dtype=np.uint32)
        self._directions = np.zeros((0, steps.DIRECTIONS, steps.ROOM), dtype=np.float32)
        self._out = rows.new(0)
        self._cosines = np.zeros((0, 2))

    @staticmethod
    def takes(parameter: Tensor, grad: Tensor | None) -> bool:
        """Whether both lie as float32 in one piece of memory."""
        return all(
            kind_of(one) == sampling.FLOAT32 and one.numel() > 0 and holds_memory(one)
            for one in ((parameter,) if grad is None else (parameter, grad))
        )

    def before(self, entered: Sequence[Entered]) -> None:
        """Measure weights and gradients, and keep copies of both."""
        reader = self._recorder.reader
        self._plan = (reader.lines or 0, reader.turn)
        group = self._group([(one.name, one.parameter.numel()) for one in entered])
        table = self._table
        for line, one in zip(group.lines, entered, strict=True):
            line.open = True
            line.address = one.parameter.data_ptr()
            gradient = 0 if one.grad is None else one.grad.data_ptr()
            table[line.number, : steps.SIZE] = line.address, gradient
        kept = self._weights, self._grads
        steps.before_step(
            table[group.numbers], self._plan, kept, self._directions, self._out, self._cosines
        )
        self._record(group, WEIGHT, [one.sites.get(WEIGHT) for one in entered], self._weights)
        self._record(group, GRAD, [one.sites.get(GRAD) for one in entered], self._grads)

    def holds(self, name: str) -> bool:
        """Whether a parameter of that name is between before and after."""
        line = self._lines.get(name)
        return line is not None and line.open

    def changed(self, name: str, parameter: Tensor) -> bool:
        """Whether a parameter differs from its copy; a sampled one, from its sample."""
        line = self._lines[name]
        if not self.takes(parameter, None) or parameter.numel() != line.size:
            return False
        n = steps.room(line.size, self._plan[0])
        now = np.empty(n, dtype=np.float32)
        lines = self._plan[0] or -(-line.size // sampling.LINE)
        m = sampling.gather(
            parameter.data_ptr(), line.size, sampling.FLOAT32, lines, self._plan[1], now
        )
        kept = self._weights[line.place : line.place + m].view(np.float32)
        return not np.array_equal(kept, now[:m])

    def after(self, parameters: Iterable[tuple[str, Tensor, Site]]) -> float:
        """Measure the updates of those that are open.

        Args:
            parameters: name, parameter, and the site of its update.

        Returns:
            The first-order change of the loss by these updates.
        """
        done: list[tuple[str, int]] = []
        sites: list[Site | None] = []
        for name, parameter, site in parameters:
            line = self._lines.get(name)
            if line is None or not line.open:
                continue
            line.open = False
            if parameter.numel() != line.size:
                continue
            if parameter.data_ptr() != line.address:  # else it is the memory that was read before
                if not self.takes(parameter, None):
                    continue
                self._table[line.number, steps.WEIGHT] = parameter.data_ptr()
            done.append((name, line.size))
            sites.append(site)
        if not done:
            return 0.0
        group = self._group(done)
        kept = self._weights, self._grads
        predicted = steps.after_step(
            self._table[group.numbers],
            self._plan,
            kept,
            self._directions,
            self._out,
            self._cosines,
        )
        self._record(group, UPDATE, sites, self._weights)
        return float(predicted)

    def _group(self, named: list[tuple[str, int]]) -> Group:
        """The lines of these parameters; the same ones as long as the same are asked for."""
        key = (self._plan[0], *named)
        group = self._groups.get(key)
        if group is None:
            lines = [self._enter(name, size) for name, size in named]
            self._grow()
            for line in lines:
                self._table[line.number, steps.SIZE :] = line.size, line.place, line.number
            numbers = np.array([line.number for line in lines], dtype=np.int64)
            group = Group(lines, numbers, {})
            if len(self._groups) >= _GROUPS:
                self._groups.clear()
            self._groups[key] = group
        return group

    def _enter(self, name: str, size: int) -> Line:
        line = self._lines.get(name)
        wanted = steps.room(size, self._plan[0])
        if line is not None and line.size == size and line.room >= wanted:
            return line
        self._groups.clear()  # they may hold what the line was before
        if line is None:
            line = self._lines[name] = Line(len(self._lines), size, self._room, wanted)
            self._room += wanted
        line.size = size
        if line.room < wanted:
            line.place, line.room = self._room, wanted
            self._room += wanted
        return line

    def _grow(self) -> None:
        """Make room for new lines; what is kept stays."""
        missing = len(self._lines) - len(self._table)
        if missing:
            self._table = np.pad(self._table, ((0, missing), (0, 0)))
            self._directions = np.pad(self._directions, ((0, missing), (0, 0), (0, 0)))
            self._out = np.pad(self._out, ((0, steps.KINDS * missing), (0, 0)))
            self._cosines = np.pad(self._cosines, ((0, missing), (0, 0)))
        extra = self._room - len(self._weights)
        if extra:
            self._weights = np.pad(self._weights, (0, extra))
            self._grads = np.pad(self._grads, (0, extra))

    def _record(
        self,
        group: Group,
        what: int,
        sites: Sequence[Site | None],
        memory: NDArray[np.uint32],
    ) -> None:
        recorder = self._recorder
        key = (what, *(-1 if site is None else site.id for site in sites))
        target = group.targets.get(key)
        if target is None:
            target = group.targets[key] = self._target(group, what, sites)
        if not target.lines:
            return
        recorder.take(self._out, target.places, anew=True)
        if what != WEIGHT:
            recorder.put_columns(target.columns, self._cosines[target.numbers, what - 1])
        if recorder.bins:
            for line, site in zip(target.lines, target.places[:, 1].tolist(), strict=True):
                n = steps.room(line.size, self._plan[0])
                counts = np.zeros(BINS, dtype=np.int64)
                count_float32(memory[line.place : line.place + n], counts)
                recorder.count(site, counts, anew=True)

    def _target(self, group: Group, what: int, sites: Sequence[Site | None]) -> Target:
        pairs = [(line, site) for line, site in zip(group.lines, sites, strict=True) if site]
        places = [(steps.KINDS * line.number + what, site.id) for line, site in pairs]
        columns = [self._recorder.column(site, "cosine") for _, site in pairs if what != WEIGHT]
        return Target(
            [line for line, _ in pairs],
            np.array([line.number for line, _ in pairs], dtype=np.int64),
            np.array(places, dtype=np.int64),
            np.array(columns, dtype=np.int64),
        )
