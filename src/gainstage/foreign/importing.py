"""Writes what another tool has kept as a run file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import DataError, UsageError
from gainstage.foreign import tags
from gainstage.foreign.events import Events, Shape, read_events, runs_under
from gainstage.foreign.tags import Place
from gainstage.records import RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import Writer, new_run_path
from gainstage.store.codec import to_float32

Columns = dict[tuple[Place, str], dict[int, float]]
"""A number by step, by the place and the quantity that it is of."""

_MOST: Final = 2.0**50
"""Elements of a histogram that count; a stranger's file may claim any number."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one run.

    Attributes:
        path: the new run file.
        source: the folder of its event files.
        steps: how many.
        views: what can be drawn of it: ``"loss"``, ``"levels"``, ``"histograms"``, ``"updates"``.
        loss: the tag that was taken for the loss; ``""`` if none was.
        left_out: tags that say nothing of a training's scales, or nothing that was understood.
    """

    path: Path
    source: Path
    steps: int
    views: tuple[str, ...]
    loss: str
    left_out: tuple[str, ...]


@dataclass(slots=True)
class _Contents:
    """A run's numbers under the names of ours."""

    columns: Columns = field(default_factory=dict)
    shapes: dict[Place, dict[int, Shape]] = field(default_factory=dict)
    loss: str = ""
    left_out: list[str] = field(default_factory=list)


def import_runs(
    folder: str | os.PathLike[str],
    *,
    dir: str | os.PathLike[str] = "runs",  # noqa: A002 - as in gs.watch
    loss: str = "",
) -> list[Imported]:
    """Make a run file of every TensorBoard run at or below a folder.

    Scalars become quantities of the run where their tag says loss, learning rate or gradient norm.
    A histogram becomes the distribution and the level of a weight, a gradient or an output, by the
    words in its tag. What a sink of ours has written comes back as it was.

    Args:
        folder: what is given to ``tensorboard --logdir``.
        dir: folder of the new run files; made if missing.
        loss: tag of the loss; by default the plainest one that says so.

    Raises:
        DataError: there are no event files, they cannot be read, or they hold nothing of use.
        MissingExtraError: tensorboard is not installed.
        UsageError: no run has the tag that is named as the loss.
    """
    made, empty, seen = [], [], set()
    for source in runs_under(folder):
        events = read_events(source)
        seen |= set(events.scalars)
        contents = _understood(events, loss)
        if contents.columns or contents.shapes:
            made.append(_write(new_run_path(dir), source, events, contents))
        else:
            empty.append(source)
    if loss and loss not in seen:
        msg = f"No run has a scalar {loss!r}. There are: {', '.join(sorted(seen)[:12]) or 'none'}."
        raise UsageError(msg)
    if not made:
        msg = (
            f"The event files in '{empty[0]}' hold neither a loss, a learning rate nor a "
            "histogram. Name the tag of the loss with --loss TAG."
        )
        raise DataError(msg)
    return made


def _understood(events: Events, loss: str) -> _Contents:
    found = _Contents(left_out=sorted(events.others))
    ours = "run/loss" if "run/loss" in events.scalars else ""
    asked = loss if loss in events.scalars else ""
    found.loss = asked or ours or tags.best_loss(events.scalars)
    run = Place("run", "run", "")
    for tag, values in events.scalars.items():
        place, quantity = tags.own(tag), tags.of_scalar(tag)
        if tag == found.loss:
            found.columns[run, "loss"] = values
        elif place == Place("run", "run", "loss"):
            found.left_out.append(tag)
        elif place is not None and place.quantity == "level":
            rms = {step: 10 ** (level / 20) for step, level in values.items()}
            found.columns.setdefault((place._replace(quantity=""), "rms"), rms)
        elif place is not None and place.quantity != "histogram":
            found.columns[place._replace(quantity=""), place.quantity] = values
        elif (
            place is None and quantity not in ("", "loss") and (run, quantity) not in found.columns
        ):
            found.columns[run, quantity] = values
        else:
            found.left_out.append(tag)
    for tag, shapes in events.shapes.items():
        place = tags.own(tag) or tags.of_histogram(tag)
        if place is None or place._replace(quantity="") in found.shapes:
            found.left_out.append(tag)
            continue
        place = place._replace(quantity="")
        found.shapes[place] = shapes
        for quantity, values in _moments(shapes).items():
            found.columns.setdefault((place, quantity), values)
    return found


def _moments(shapes: dict[int, Shape]) -> dict[str, dict[int, float]]:
    """What the histograms of a site say of its elements."""
    found: dict[str, dict[int, float]] = {}
    for step, shape in shapes.items():
        count = float(shape.counts.sum())
        numbers = {
            "count": count,
            "mean": shape.mean,
            "rms": shape.rms,
            "std": float(np.sqrt(max(shape.rms**2 - shape.mean**2, 0.0))),
            "l2": shape.rms * float(np.sqrt(count)),
            "min": float(shape.edges[0]),
            "max": float(shape.edges[-1]),
        }
        for quantity, value in numbers.items():
            found.setdefault(quantity, {})[step] = value
    return found


def _write(path: Path, source: Path, events: Events, contents: _Contents) -> Imported:
    sites, series = _roster(contents)
    steps = sorted(events.times)
    times = np.maximum.accumulate([events.times[step] for step in steps])
    info = RunInfo(
        id=path.stem,
        started=float(times[0]),
        facts={"imported": str(source)},
    )
    by_step: dict[int, list[tuple[int, Shape]]] = {}
    for place, shapes in contents.shapes.items():
        for step, shape in shapes.items():
            by_step.setdefault(step, []).append((sites[place].id, shape))
    with Writer(path, info) as writer:
        writer.add(list(sites.values()), list(series))
        for step, when in zip(steps, times.tolist(), strict=True):
            for site, shape in by_step.get(step, ()):
                writer.add_histogram(site, step, as_histogram(shape))
            row = [values.get(step, np.nan) for values in contents.columns.values()]
            writer.write_frame(
                step, to_float32(np.array(row, dtype=np.float64)), when - info.started
            )
        seconds = float(times[-1] - times[0])
        writer.finish(replace(info, status="finished", seconds=seconds))
    return Imported(
        path, source, len(steps), _views(sites, contents), contents.loss, tuple(contents.left_out)
    )


def _roster(contents: _Contents) -> tuple[dict[Place, Site], Sequence[Series]]:
    """The sites in the order in which their layers came, and a series for each column."""
    run = Place("run", "run", "")
    places = dict.fromkeys([run, *(place for place, _ in contents.columns), *contents.shapes])
    orders: dict[str, int] = {}
    sites: dict[Place, Site] = {}
    for place in places:
        layer = "" if place == run else tags.layer_of(place)
        order = orders.setdefault(layer, len(orders)) if layer else 0
        sites[place] = Site(len(sites), place.name, place.kind, layer, "", order)
    series = [
        Series(i, sites[place].id, quantity) for i, (place, quantity) in enumerate(contents.columns)
    ]
    return sites, series


def _views(sites: dict[Place, Site], contents: _Contents) -> tuple[str, ...]:
    levels = {place.kind for place, quantity in contents.columns if quantity == "rms"}
    run = next(iter(sites))
    found = {
        "loss": (run, "loss") in contents.columns,
        "levels": bool(levels),
        "updates": {"update", "weight"} <= levels,
        "histograms": bool(contents.shapes),
    }
    return tuple(name for name, there in found.items() if there)


def as_histogram(shape: Shape) -> Histogram:
    """A stranger's buckets in our bins: elements lie evenly within a bucket.

    Where the edges of the buckets are edges of bins, as in what a sink of ours has written, the
    counts come over as they are.

    Example:
        >>> shape = Shape(np.array([1.0, 1.125, 1.25]), np.array([2.0, 3.0]), 1.1, 1.1)
        >>> as_histogram(shape).counts.nonzero()[0].tolist(), as_histogram(shape).total
        ([1016, 1017], 5)
    """
    low, high, _ = Histogram.empty().ordered()
    counts = np.clip(np.nan_to_num(shape.counts), 0.0, _MOST)
    below = np.concatenate([[0.0], np.cumsum(counts)])
    edges = np.append(low, high[-1])
    # elements below an edge: those of a bucket of no width are not below that width's place
    place = np.searchsorted(shape.edges, edges, side="left") - 1
    inside = np.clip(place, 0, len(counts) - 1)
    left, width = shape.edges[inside], np.diff(shape.edges)[inside]
    share = np.where(width > 0, (edges - left) / np.where(width > 0, width, 1.0), 1.0)
    under = below[inside] + np.clip(share, 0.0, 1.0) * counts[inside]
    under = np.where(place < 0, 0.0, under)
    return _binned(np.diff(np.rint(under)).astype(np.int64))


def _binned(ordered: NDArray[np.int64]) -> Histogram:
    """Inverse of :meth:`Histogram.ordered`."""
    half = len(ordered) // 2
    counts = Histogram.empty().counts
    counts[:half] = ordered[half:]
    counts[len(counts) // 2 : len(counts) // 2 + half] = ordered[:half][::-1]
    return Histogram(counts)
