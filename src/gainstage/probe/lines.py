"""Parameters in a row, as the step table keeps them, and where their readings go."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import torch
from torch import Tensor

from gainstage.records import Site
from gainstage.sketch.rows import Numbers

WEIGHT: Final = 0
GRAD: Final = 1
UPDATE: Final = 2


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
    """Where readings of a group go.

    Attributes:
        sites: of those that have one.
        lines: of which kind each is, and its line.
        rows: int64, where their readings are in the results.
        ids: int64, of the sites.
        cosines: int64, where their cosines are in the results; none for weights.
        columns: int64, where in a frame they go.
    """

    sites: list[Site]
    lines: list[tuple[int, Line]]
    rows: Numbers
    ids: Numbers
    cosines: Numbers
    columns: Numbers


@dataclass(slots=True, eq=False)
class Group:
    """Parameters that are stepped together.

    Attributes:
        lines: theirs.
        table: int64 [lines, steps.COLUMNS], for the kernels.
        generation: of the lines; a line that is laid anew begins another.
        addresses: where the parameters were last.
        before: where readings of weights and gradients go.
        after: where readings of updates go.
    """

    lines: list[Line]
    table: Numbers
    generation: int
    addresses: list[int] = field(default_factory=list)
    before: Target | None = None
    after: Target | None = None


@dataclass(slots=True)
class Routine:
    """A step that was taken before, so that the next one like it needs no preparation.

    Attributes:
        references: to its parameters.
        has_grad: whether each has a gradient.
        group: their lines in the table.
        updates: the sites of their updates, once there was one.
    """

    references: list[weakref.ref[Tensor]]
    has_grad: list[bool]
    group: Group
    updates: list[Site] = field(default_factory=list)

    def holds(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are its parameters, and what they were: one that is cut stays in place."""
        if len(parameters) != len(self.references):
            return False
        group = self.group
        known = zip(parameters, self.references, group.addresses, group.lines, strict=True)
        for parameter, reference, address, line in known:
            if (
                reference() is not parameter
                or parameter.data_ptr() != address
                or parameter.numel() != line.size
                or parameter.dtype is not torch.float32
            ):
                return False
        return True
