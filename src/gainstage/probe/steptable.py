"""The fast way around a step: all float32 parameters in the processor's memory at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gainstage.probe.lines import GRAD, UPDATE, WEIGHT, Entered, Group, Line, Target
from gainstage.probe.recorder import Recorder
from gainstage.records import Site
from gainstage.sketch import rows, sampling, steps
from gainstage.sketch.histogram import BINS
from gainstage.sketch.pointers import holds_memory
from gainstage.sketch.reader import kind_of
from gainstage.sketch.rows import Numbers
from gainstage.sketch.tensors import count_float32

_GROUPS: Final = 256
"""Choices of parameters that are remembered: an optimiser in backward steps each by itself."""


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
        self._generation = 0
        self._room = 0
        self._plan = (0, 0)
        self._weights = np.zeros(0, dtype=np.uint32)
        self._grads = np.zeros(0, dtype=np.uint32)
        self._directions = np.zeros((0, steps.DIRECTIONS, steps.ROOM), dtype=np.float32)
        self._out = rows.new(0)
        self._cosines = np.zeros((0, 2))

    @staticmethod
    def takes(parameter: Tensor, grad: Tensor | None) -> bool:
        """Whether both lie as float32 in one piece of memory each, of the same size."""
        if grad is not None and grad.numel() != parameter.numel():
            return False  # a parameter that was cut since
        return all(
            kind_of(one) == sampling.FLOAT32 and one.numel() > 0 and holds_memory(one)
            for one in ((parameter,) if grad is None else (parameter, grad))
        )

    def before(self, entered: Sequence[Entered]) -> Group:
        """Measure weights and gradients, and keep copies of both.

        Returns:
            The parameters as a group, for :meth:`before_again`.
        """
        self._plan = self._recorder.reader.plan
        group = self._group([(one.name, one.parameter.numel()) for one in entered])
        group.addresses = [one.parameter.data_ptr() for one in entered]
        for line, address in zip(group.lines, group.addresses, strict=True):
            line.open, line.address = True, address
        sites = [(WEIGHT, one.sites.get(WEIGHT)) for one in entered]
        sites += [(GRAD, one.sites.get(GRAD)) for one in entered]
        group.before = self._target(group, sites)
        self._run_before(group, [0 if o.grad is None else o.grad.data_ptr() for o in entered])
        return group

    def before_again(self, group: Group, gradients: list[int]) -> bool:
        """The same for a group whose parameters are where they were.

        Args:
            group: from :meth:`before`.
            gradients: addresses of their gradients, 0 where there is none.

        Returns:
            False if the group is out of date, and nothing was done.
        """
        if self._recorder.reader.plan[0] != self._plan[0] or group.generation != self._generation:
            return False
        self._plan = self._recorder.reader.plan
        for line in group.lines:
            line.open = True
        self._run_before(group, gradients)
        return True

    def grade(self, entered: Sequence[Entered]) -> None:
        """Measure gradients that came after :meth:`before`, of parameters that are open."""
        group = self._group([(one.name, one.parameter.numel()) for one in entered])
        group.table[:, steps.GRAD] = [o.grad.data_ptr() for o in entered if o.grad is not None]
        steps.read_gradients(
            group.table, self._plan, self._grads, self._directions, self._out, self._cosines
        )
        self._record(self._target(group, [(GRAD, one.sites.get(GRAD)) for one in entered]))

    def _run_before(self, group: Group, gradients: list[int]) -> None:
        group.table[:, steps.WEIGHT] = group.addresses
        group.table[:, steps.GRAD] = gradients
        kept = self._weights, self._grads
        steps.before_step(group.table, self._plan, kept, self._directions, self._out, self._cosines)
        self._record(group.before)

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
        sites: list[Site] = []
        addresses: list[int] = []
        for name, parameter, site in parameters:
            line = self._lines.get(name)
            if line is None or not line.open:
                continue
            line.open = False
            if parameter.numel() != line.size or parameter.dtype is not torch.float32:
                continue
            address = parameter.data_ptr()
            if address != line.address and not self.takes(parameter, None):
                continue  # else it is the memory that was read before
            done.append((name, line.size))
            sites.append(site)
            addresses.append(address)
        if not done:
            return 0.0
        group = self._group(done)
        group.addresses = addresses
        group.table[:, steps.WEIGHT] = addresses
        return self.after_again(group, sites)

    def after_again(self, group: Group, sites: Sequence[Site]) -> float:
        """The same for a group whose parameters are still where they were before the step."""
        for line in group.lines:
            line.open = False
        if group.after is None or group.after.sites != sites:
            group.after = self._target(group, [(UPDATE, site) for site in sites])
        kept = self._weights, self._grads
        predicted = steps.after_step(
            group.table, self._plan, kept, self._directions, self._out, self._cosines
        )
        self._record(group.after)
        return float(predicted)

    def _group(self, named: list[tuple[str, int]]) -> Group:
        """The lines of these parameters; the same ones as long as the same are asked for."""
        key = (self._plan[0], *named)
        group = self._groups.get(key)
        if group is None:
            lines = [self._enter(name, size) for name, size in named]
            self._grow()
            table = np.zeros((len(lines), steps.COLUMNS), dtype=np.int64)
            for row, line in zip(table, lines, strict=True):
                row[steps.SIZE :] = line.size, line.place, line.number
            group = Group(lines, table, self._generation)
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
        self._generation += 1
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
        missing = len(self._lines) - len(self._cosines)
        if missing:
            self._directions = np.pad(self._directions, ((0, missing), (0, 0), (0, 0)))
            self._out = np.pad(self._out, ((0, steps.KINDS * missing), (0, 0)))
            self._cosines = np.pad(self._cosines, ((0, missing), (0, 0)))
        extra = self._room - len(self._weights)
        if extra:
            self._weights = np.pad(self._weights, (0, extra))
            self._grads = np.pad(self._grads, (0, extra))

    def _record(self, target: Target | None) -> None:
        if target is None or not target.lines:
            return
        recorder = self._recorder
        cosines = self._cosines.reshape(-1), target.cosines, target.columns
        recorder.take(self._out, target.rows, target.ids, anew=True, beside=cosines)
        if recorder.reader.bins:
            for (what, line), site in zip(target.lines, target.sites, strict=True):
                memory = self._grads if what == GRAD else self._weights  # updates are kept there
                n = steps.room(line.size, self._plan[0])
                counts = np.zeros(BINS, dtype=np.int64)
                count_float32(memory[line.place : line.place + n], counts)
                recorder.count(site.id, counts, anew=True)

    def _target(self, group: Group, wanted: Sequence[tuple[int, Site | None]]) -> Target:
        lines = group.lines * (len(wanted) // len(group.lines))
        chosen = [
            (what, line, site) for (what, site), line in zip(wanted, lines, strict=True) if site
        ]
        with_cosine = [one for one in chosen if one[0] != WEIGHT]
        column = self._recorder.column
        return Target(
            [site for _, _, site in chosen],
            [(what, line) for what, line, _ in chosen],
            _numbers(steps.KINDS * line.number + what for what, line, _ in chosen),
            _numbers(site.id for _, _, site in chosen),
            _numbers(2 * line.number + what - 1 for what, line, _ in with_cosine),
            _numbers(column(site, "cosine") for _, _, site in with_cosine),
        )


def _numbers(values: Iterable[int]) -> Numbers:
    return np.array(list(values), dtype=np.int64)
