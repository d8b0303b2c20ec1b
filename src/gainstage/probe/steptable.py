"""The fast way around a step: all float32 parameters in the processor's memory at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gainstage.probe.recorder import Recorder
from gainstage.records import Site
from gainstage.sketch import pointers, steps
from gainstage.sketch.sketch import Sketch
from gainstage.sketch.tensors import is_plain, scan_float32


@dataclass(frozen=True, slots=True)
class Line:
    """One parameter's line in the table.

    Attributes:
        number: of the line.
        size: its elements.
        place: where its copies begin.
        room: elements that fit there.
    """

    number: int
    size: int
    place: int
    room: int


@dataclass(frozen=True, slots=True)
class Around:
    """A parameter around a step, with its sites."""

    name: str
    parameter: Tensor
    grad: Tensor | None
    weight_site: Site
    grad_site: Site | None


class StepTable:
    """Measures weights, gradients and exact updates by two kernel calls a step.

    Each parameter keeps its line, by name, so that directions compare from step to step.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.release()

    def release(self) -> None:
        """Let go of every tensor and every copy."""
        self._lines: dict[str, Line] = {}
        self._room = 0
        self._open: dict[str, Around] = {}
        self._table = np.zeros((0, steps.COLUMNS), dtype=np.int64)
        self._weights = np.zeros(0, dtype=np.uint32)
        self._grads = np.zeros(0, dtype=np.uint32)
        self._directions = np.zeros((0, 4, steps.ROOM), dtype=np.float32)
        self._out = np.zeros((0, 3, steps.NUMBERS))

    @staticmethod
    def takes(parameter: Tensor, grad: Tensor | None) -> bool:
        """Whether both lie as float32 in one piece of memory."""
        return is_plain(parameter) and (grad is None or is_plain(grad))

    def before(self, arounds: Sequence[Around]) -> None:
        """Measure weights and gradients, and keep copies of both."""
        for around in arounds:
            self._enter(around)
        self._grow()
        chosen = self._chosen(around.name for around in arounds)
        steps.before_step(
            self._table[chosen], self._weights, self._grads, self._directions, self._out
        )
        for around in arounds:
            line = self._lines[around.name]
            self._record(around.weight_site, line, 0, self._weights)
            if around.grad_site is not None:
                self._record(around.grad_site, line, 1, self._grads)

    def holds(self, name: str) -> bool:
        """Whether a parameter of that name is between before and after."""
        return name in self._open

    def changed(self, name: str, parameter: Tensor) -> bool:
        """Whether a parameter differs from its copy."""
        line = self._lines[name]
        if not is_plain(parameter) or parameter.numel() != line.size:
            return False
        kept = torch.from_numpy(self._slice(self._weights, line))
        return not torch.equal(kept, parameter.detach().reshape(-1))

    def after(self, parameters: Iterable[tuple[str, Tensor, Callable[[], Site]]]) -> float:
        """Measure the updates of those that are open.

        Args:
            parameters: name, parameter, and what gives the site of its update.

        Returns:
            The first-order change of the loss by these updates.
        """
        done: dict[str, Site] = {}
        for name, parameter, site in parameters:
            around = self._open.pop(name, None)
            line = self._lines.get(name)
            if around is None or line is None:
                continue
            if is_plain(parameter) and parameter.numel() == line.size:
                self._table[line.number, steps.WEIGHT] = parameter.data_ptr()
                done[name] = site()
        if not done:
            return 0.0
        chosen = self._chosen(done)
        predicted = steps.after_step(
            self._table[chosen], self._weights, self._grads, self._directions, self._out
        )
        for name, update_site in done.items():
            self._record(update_site, self._lines[name], 2, self._weights)
        return float(predicted)

    def _enter(self, around: Around) -> None:
        size = around.parameter.numel()
        line = self._lines.get(around.name)
        if line is None or line.size != size:
            number = len(self._lines) if line is None else line.number
            if line is not None and size <= line.room:
                line = Line(number, size, line.place, line.room)
            else:
                line = Line(number, size, self._room, size)
                self._room += size
            self._lines[around.name] = line
        self._open[around.name] = around

    def _grow(self) -> None:
        """Make room for new lines; what is kept stays."""
        missing = len(self._lines) - len(self._table)
        if missing:
            self._table = np.pad(self._table, ((0, missing), (0, 0)))
            self._directions = np.pad(self._directions, ((0, missing), (0, 0), (0, 0)))
            self._out = np.pad(self._out, ((0, missing), (0, 0), (0, 0)))
        extra = self._room - len(self._weights)
        if extra:
            self._weights = np.pad(self._weights, (0, extra))
            self._grads = np.pad(self._grads, (0, extra))
        for name, around in self._open.items():
            line = self._lines[name]
            grad = around.grad
            self._table[line.number] = (
                around.parameter.data_ptr(),
                0 if grad is None else grad.data_ptr(),
                line.size,
                line.place,
                line.number,
            )

    def _chosen(self, names: Iterable[str]) -> list[int]:
        return [self._lines[name].number for name in names]

    def _record(self, site: Site, line: Line, what: int, memory: NDArray[np.uint32]) -> None:
        numbers = self._out[line.number, what]
        summary = pointers.summary(numbers[: pointers.MOMENTS])
        histogram = None
        if self._recorder.bins:
            histogram = scan_float32(self._slice(memory, line)).histogram
        self._recorder.set(site, Sketch(summary, histogram))
        cosine = float(numbers[pointers.MOMENTS])
        if not math.isnan(cosine):
            self._recorder.put(site, {"cosine": cosine})

    @staticmethod
    def _slice(memory: NDArray[np.uint32], line: Line) -> NDArray[np.float32]:
        return memory[line.place : line.place + line.size].view(np.float32)
