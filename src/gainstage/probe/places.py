"""The stages of a signal chain: what each one is, its calls in a step, and where these belong."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gainstage.probe.guard import Guard
from gainstage.probe.recorder import Recorder
from gainstage.probe.spreads import has_modes, keeps_statistics
from gainstage.probe.units import UnitsElsewhere, UnitWatch, own_axis, unit_axis
from gainstage.records import Merge, Site
from gainstage.sketch.reader import Counts
from gainstage.sketch.rows import Row

MAX_CALLS: Final = 64
"""Calls of one stage within a step that get a site of their own; later ones share the last."""

_NONE: Final[Mapping[str, int]] = {}

OWN_QUANTITIES: Final = (
    "dead_units",
    "saturated",
    "saturated_units",
    "sample_spread",
    "running_gap",
)
"""Of an output, beside those of any tensor."""


class Place:
    """A stage, with what stays the same from one call of it to the next.

    Args:
        layer: gives the stage's name, asked once the names are known.
        op: the operation.
        module: the module that makes its outputs, if one does.
    """

    def __init__(self, layer: Callable[[], str], op: str, module: nn.Module | None = None) -> None:
        self.layer = layer
        self.op = op
        self.takes_data = False
        """Whether data may enter the network here."""
        self.free: list[Entry] = []
        """Entries that no call has, the one of the first call at the end; used again and again."""
        self.made = 0
        """Entries that there are."""
        self.has_modes = has_modes(module)
        """Whether it does something else in evaluation than in training."""
        self.keeps_statistics = keeps_statistics(module)
        """Whether it is a BatchNorm with running statistics."""
        self._axis = own_axis(module, op)

    def enter(self, listener: Listener, reading: int, root: int) -> Entry:
        """One more call within a step: its entry, with what was known of an earlier step's."""
        free = self.free
        entry = free.pop() if free else self._new(listener)
        entry.reading = reading
        entry.root = root
        entry.graded = False
        entry.asleep = False
        entry.feed = None
        entry.spreads = {}
        return entry

    def _new(self, listener: Listener) -> Entry:
        self.made += 1
        return Entry(listener, self, self.made)

    def leave(self, entry: Entry) -> None:
        """A call is over: its entry is free for another."""
        free = self.free
        if free and free[-1].number < entry.number:
            bisect.insort(free, entry, key=lambda one: -one.number)
        else:
            free.append(entry)

    def axis(self, shape: tuple[int, ...], before: Entry | None) -> int | None:
        """The axis of an output that numbers the units.

        Args:
            shape: of the output.
            before: the call before: an activation's channels are those of what it is applied to.
        """
        if self._axis is None and before is not None and before.shape == shape:
            return before.axis
        return unit_axis(shape, self._axis)

    def name(self, call: int) -> str:
        """What the stage is called at the n-th call of a step."""
        layer = self.layer()
        return layer if call == 1 else f"{layer}#{call}"


class Listener(Protocol):
    """What takes the gradients that come back."""

    in_backward: bool
    guard: Guard

    def measure_gradient(self, entry: Entry, grad: Tensor) -> None:
        """A gradient came back to an entry's output."""


class Entry:
    """One call of one stage, read, waiting for its gradient to say that it is training.

    It is itself the hook that the gradient meets: it holds no tensor, and a copy is a silent one.
    """

    __slots__ = (
        "asleep",
        "axis",
        "dtype",
        "feed",
        "graded",
        "listener",
        "merge",
        "needs_grad",
        "number",
        "output_number",
        "place",
        "reading",
        "root",
        "shape",
        "spreads",
        "units",
        "units_elsewhere",
    )

    def __init__(self, listener: Listener, place: Place, number: int = 1) -> None:
        self.listener = listener
        self.place = place
        self.number = number  # among the entries of its place
        self.reading = 0  # of the output, in the pool
        self.root = 0
        self.shape: tuple[int, ...] = ()
        self.dtype = torch.float32
        self.merge: Merge = "sum"
        self.needs_grad = False
        self.output_number = 0  # among the outputs of its node
        self.axis: int | None = None
        self.units: UnitWatch | None = None
        self.units_elsewhere: UnitsElsewhere | None = None
        self.graded = False
        self.asleep = False  # in evaluation mode, and the model with it
        self.spreads: dict[str, float] = {}
        self.feed: Feed | None = None

    def __call__(self, grads: Sequence[Tensor | None]) -> None:
        """The gradients of a node's outputs are known; torch may pass an undefined one."""
        listener = self.listener
        if listener.in_backward:
            grad = grads[self.output_number]
            if grad is not None:
                listener.guard.call_lightly("gradient", listener.measure_gradient, self, grad)

    def of_tensor(self, grad: Tensor | None) -> None:
        """The gradient of an output that is a leaf is known."""
        self([grad] * (self.output_number + 1))

    def details(self, name: str) -> dict[str, Any]:
        """What a site says of this stage."""
        dtype = str(self.dtype).removeprefix("torch.")
        return {
            "layer": name,
            "op": self.place.op,
            "shape": tuple(self.shape),
            "dtype": dtype,
            "merge": self.merge,
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> _Silent:
        return _Silent()

    def __reduce__(self) -> tuple[type[_Silent], tuple[()]]:
        return (_Silent, ())


class _Silent:
    """What an entry becomes in a copied or unpickled tensor."""

    def __call__(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Feed:
    """Data that enter the network at a stage."""

    row: Row
    counts: Counts | None
    shape: tuple[int, ...]
    numbers: dict[str, float]


@dataclass(slots=True, eq=False)
class Chart:
    """Where the readings of a backward pass belong; the same ones as long as it is the same.

    Attributes:
        entries: those recorded, which keeps their identities valid.
        calls: the how-maniest call of its stage each one is, from 1.
        ids: int64, of the sites of the outputs, then of the gradients.
        columns: for each entry, where in a frame its own quantities go.
        with_modes: which of them do something else in evaluation.
        readings: their numbers in the pool, at the last time.
        places: the same as int64.
        shares: what was found of units, until they are looked at again: columns, and values.
    """

    entries: list[Entry]
    calls: list[int]
    ids: NDArray[np.int64]
    columns: list[dict[str, int]]
    with_modes: list[int]
    readings: list[int] = field(default_factory=list)
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    shares: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None

    def number(self, readings: list[int]) -> NDArray[np.int64]:
        """The numbers of the readings for a kernel: mostly those of the last time."""
        if readings != self.readings:
            self.readings, self.places = readings, np.array(readings, dtype=np.int64)
        return self.places

    def found_of_units(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Shares of dead and of saturated units, and the columns where they go."""
        if self.shares is None:
            found = {
                at[quantity]: share
                for entry, at in zip(self.entries, self.columns, strict=True)
                if entry.units is not None
                for quantity, share in entry.units.found.items()
            }
            columns = np.array(list(found), dtype=np.int64)
            self.shares = columns, np.array(list(found.values()), dtype=np.float64)
        return self.shares

    @classmethod
    def of(
        cls,
        entries: list[Entry],
        graded: list[Entry],
        recorder: Recorder,
        missing: Mapping[str, int] = _NONE,
    ) -> Chart:
        """Find or make the sites, in the order of the calls.

        Args:
            entries: those to record.
            graded: one for each gradient that came.
            recorder: makes the sites.
            missing: calls of a stage before the first of these.
        """
        count: dict[str, int] = defaultdict(int, missing)
        calls: dict[int, int] = {}
        sites: list[Site] = []
        for entry in entries:
            layer = entry.place.layer()
            count[layer] += 1
            call = calls[id(entry)] = min(count[layer], MAX_CALLS)
            details = entry.details(entry.place.name(call))
            name = details["layer"]
            sites.append(recorder.site(name, "output", unit_axis=entry.axis, **details))
        gradients = [
            recorder.site(details["layer"], "output_grad", **details)
            for details in (e.details(e.place.name(calls.get(id(e), 1))) for e in graded)
        ]
        return cls(
            entries,
            list(calls.values()),
            np.array([site.id for site in (*sites, *gradients)], dtype=np.int64),
            [{key: recorder.column(site, key) for key in OWN_QUANTITIES} for site in sites],
            [i for i, entry in enumerate(entries) if entry.place.has_modes],
        )
