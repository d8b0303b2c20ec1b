"""The ranks of one training as one recording, added up when it is read.

Nothing is exchanged while the training runs. A merge by all-reduce would be a collective of ours
in the middle of somebody's training, which hangs if a single rank skips a step or dies.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self, override

from gainstage.errors import RunFileError
from gainstage.quantities import SUMMARY_KEYS
from gainstage.recording import Recording, Values, Window
from gainstage.records import Event, Kind, Remedy, RunInfo, Site
from gainstage.sketch import Histogram
from gainstage.store import addition
from gainstage.store.addition import Moments, Numbers
from gainstage.store.codec import to_float32
from gainstage.store.outcome import merged_events, merged_info
from gainstage.store.parts import Parts
from gainstage.store.stragglers import stragglers, typical

if TYPE_CHECKING:
    import pandas as pd

_REMEMBERED: Final = 8
"""Sites whose added numbers are kept for the next question."""

_RULES: Final[dict[str, Callable[[Iterable[Numbers]], Numbers]]] = {
    # a unit that is dead in all is dead in each: the least share is an upper bound
    "dead_units": addition.least,
    "saturated_units": addition.least,
    "lr": addition.first,
    "seconds": addition.largest,
    "probe_seconds": addition.largest,
}
"""What becomes of a quantity that is no moment; of any other, the mean."""

_WEIGHTED: Final = {"saturated": ("count", 1), "cosine": ("l2", 2)}
"""Quantity and power of it by which a rank counts in the mean."""

Part = tuple[int, Site]
"""A rank, and the site in its file."""


class MergedRecording(Recording):
    """The recordings of all ranks in a run's folder as that of one training.

    Parts of a batch and shards of a parameter add up; of copies one is taken
    (:data:`gainstage.records.Merge`). At a step that a rank did not reach, the others stand alone,
    and an event says so.

    Args:
        path: the run's folder.

    Raises:
        RunFileError: there is no readable rank in it. Any later reading may raise it as well.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._parts = Parts(self.path)
        self.refresh()

    def __enter__(self) -> Self:
        self._parts.hold()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files. A later reading opens them again."""
        self._parts.close()

    def refresh(self) -> bool:
        """Take in what was written since; True if there are new steps."""
        unreadable = self._parts.refresh()
        if not self._parts:
            why = " ".join(unreadable.values()) or "It holds no file of a rank (rank0.gs, ...)."
            msg = f"The run {str(self.path)!r} cannot be read. {why}"
            raise RunFileError(msg)
        known = getattr(self, "_steps", np.zeros(0, dtype=np.int64))
        everybody = [part.steps for part in self._parts.values()]
        self._steps: NDArray[np.int64] = np.unique(np.concatenate(everybody))
        self._place = {r: np.searchsorted(self._steps, p.steps) for r, p in self._parts.items()}
        self._find_sites()
        self._moments: dict[int, Moments] = {}
        self._info = merged_info(self._parts)
        self._events = merged_events(self._parts, self._info, unreadable)
        found = [*self._events, *self._disagreement(), *self._stragglers()]
        self._events = sorted(found, key=lambda event: event.step)
        return len(known) != len(self._steps)

    def _find_sites(self) -> None:
        """Match the ranks' sites by name and kind, and choose which parts of each count."""
        held: dict[tuple[str, Kind], list[Part]] = {}
        for rank, part in self._parts.items():
            for site in part.sites:
                held.setdefault((site.name, site.kind), []).append((rank, site))
        self._holders: list[list[Part]] = []
        sites: list[Site] = []
        for parts in held.values():
            added = [(rank, site) for rank, site in parts if site.merge == "sum"]
            self._holders.append(added or parts)
            sites.append(replace((added or parts)[0][1], id=len(sites)))
        self._sites = tuple(sites)

    @property
    @override
    def info(self) -> RunInfo:
        return self._info

    @property
    @override
    def sites(self) -> tuple[Site, ...]:
        return self._sites

    @property
    @override
    def steps(self) -> NDArray[np.int64]:
        return self._steps

    @property
    @override
    def times(self) -> Numbers:
        """Seconds until the last rank ended each step: float64 [T]."""
        return addition.largest(self._spread(r, p.times) for r, p in self._parts.items())

    @property
    @override
    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)

    @property
    @override
    def remedies(self) -> tuple[Remedy, ...]:
        return max((part.remedies for part in self._parts.values()), key=len)

    @override
    def quantities(self, site: Site) -> tuple[str, ...]:
        parts = self._holders[site.id]
        names = (name for rank, one in parts for name in self._parts[rank].quantities(one))
        return tuple(dict.fromkeys(names))

    @override
    def values(self, site: Site, quantity: str) -> Values:
        return to_float32(self.exact(site, quantity))

    def exact(self, site: Site, quantity: str) -> Numbers:
        """The same in the precision in which it was added up: float64 [T]."""
        if site.kind == "run" and quantity == "grad_norm":
            return self._norm()
        if site.kind == "run" and quantity == "predicted_change":
            return self._predicted(site)
        if quantity in SUMMARY_KEYS and site.merge == "sum":
            return self._added(site)[quantity]
        values = self._each(site, quantity)
        if site.merge == "same":
            return addition.first(values)
        if quantity in _WEIGHTED:
            by, power = _WEIGHTED[quantity]
            return addition.weighted(values, (w**power for w in self._each(site, by)))
        return _RULES.get(quantity, addition.mean)(values)

    @override
    def histogram(self, site: Site, start: int = 0, stop: int | None = None) -> Histogram:
        merged = Histogram.empty()
        for rank, one in self._holders[site.id]:
            part = self._parts[rank].histogram(one, start, stop)
            if site.merge == "same" and part.total:
                return part
            merged += part
        return merged

    @override
    def windows(self, site: Site) -> dict[Window, Histogram]:
        """Every histogram of a site, by the window of steps that it is of."""
        found: dict[tuple[int, int], tuple[Window, Histogram]] = {}
        for rank, one in self._holders[site.id]:
            for window, part in self._parts[rank].windows(one).items():
                held = found.get(window[:2])
                if held is None:
                    found[window[:2]] = window, part
                elif site.merge == "sum":
                    longer = window._replace(n=max(window.n, held[0].n))
                    found[window[:2]] = longer, held[1] + part
        return dict(found.values())

    def frame(self) -> pd.DataFrame:
        """All numbers as a pandas frame, as :meth:`StoredRecording.frame` has them.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from gainstage.store.frame import to_frame  # noqa: PLC0415  # pandas only when asked for

        with self.held():
            return to_frame(self)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the files open for many readings."""
        with self._parts.held():
            yield

    def _spread(self, rank: int, values: Numbers) -> Numbers:
        """A rank's numbers at the steps of all: NaN at those that it does not have."""
        found = np.full(len(self._steps), np.nan)
        found[self._place[rank]] = values
        return found

    def _each(self, site: Site, quantity: str) -> Iterator[Numbers]:
        """A quantity as each rank has it, one after the other."""
        for rank, one in self._holders[site.id]:
            yield self._spread(rank, self._parts[rank].exact(one, quantity))

    def _added(self, site: Site) -> Moments:
        """All moments of a site: each needs several of the ranks' to be added."""
        if site.id not in self._moments:
            if len(self._moments) >= _REMEMBERED:
                self._moments.pop(next(iter(self._moments)))
            self._moments[site.id] = addition.add_moments(
                {key: self._spread(rank, self._parts[rank].exact(one, key)) for key in SUMMARY_KEYS}
                for rank, one in self._holders[site.id]
            )
        return self._moments[site.id]

    def _norm(self) -> Numbers:
        """Gradient norm of the whole: a rank's own is that of its shards."""
        grads = self.of_kind("grad")
        if all(site.merge == "same" for site in grads):
            return addition.first(self._each(self._run_site(), "grad_norm"))
        return np.sqrt(addition.total(np.square(self.exact(site, "l2")) for site in grads))

    def _predicted(self, site: Site) -> Numbers:
        """Predicted change: a rank's own is that of its shards; NaN where it has copies as well."""
        updates = self.of_kind("update")
        values = self._each(site, "predicted_change")
        if all(one.merge == "same" for one in updates):
            return addition.first(values)
        if any(one.merge == "same" for one in updates):
            return np.full(len(self._steps), np.nan)
        parted = {rank for one in updates for rank, _ in self._holders[one.id]}
        ranks = [rank for rank, _ in self._holders[site.id]]
        return addition.total(v for rank, v in zip(ranks, values, strict=True) if rank in parted)

    def _run_site(self) -> Site:
        return next(site for site in self._sites if site.kind == "run")

    def _disagreement(self) -> list[Event]:
        """Where ranks that should hold the same parameters have different gradients."""
        grads = self.of_kind("grad")
        if len(self._parts) < 2 or not grads or any(site.merge == "sum" for site in grads):
            return []
        apart = addition.apart(self._each(self._run_site(), "grad_norm"))
        if not apart.any():
            return []
        index = int(np.argmax(apart))
        name = next((s.name for s in grads if addition.apart(self._each(s, "l2"))[index]), "")
        return [Event(int(self._steps[index]), "ranks-disagree", name, {"steps": int(apart.sum())})]

    def _stragglers(self) -> list[Event]:
        """Ranks for which the others wait."""
        run = next(iter(self.of_kind("run")), None)
        if len(self._parts) < 2 or run is None or "own_seconds" not in self.quantities(run):
            return []
        ranks = (rank for rank, _ in self._holders[run.id])
        work = {
            rank: told
            for rank, own in zip(ranks, self._each(run, "own_seconds"), strict=True)
            if (told := typical(own)) is not None
        }
        return stragglers(work, float(np.nanmedian(self.exact(run, "seconds")))) if work else []
