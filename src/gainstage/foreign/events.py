"""TensorBoard's event files: their scalars and histograms, by tag and step."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import DataError, MissingExtraError

PATTERN: Final = "*tfevents*"


@dataclass(frozen=True, slots=True)
class Shape:
    """A distribution of elements as TensorBoard keeps it.

    Attributes:
        edges: of the buckets, ascending; two are equal where a bucket is a single number: [B + 1].
        counts: elements, not always whole numbers: [B].
        mean: of the elements; from the buckets' middles where nothing better is kept.
        rms: root mean square, likewise.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    mean: float
    rms: float


@dataclass(slots=True)
class Events:
    """What the event files of one run hold.

    Attributes:
        scalars: a number by step, by tag, in the order in which tags first came.
        shapes: a distribution by step, by tag.
        times: when each step was written, in seconds since the epoch; the latest counts.
        others: tags of what is neither: pictures, texts, graphs.
    """

    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    shapes: dict[str, dict[int, Shape]] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)


def runs_under(folder: str | os.PathLike[str]) -> list[Path]:
    """The folders at or below `folder` that hold event files: one a run, as TensorBoard has it.

    Raises:
        DataError: there is none.
    """
    folder = Path(folder)
    found = sorted({path.parent for path in folder.rglob(PATTERN) if path.is_file()})
    if not found:
        what = "There are no event files (*tfevents*) in" if folder.is_dir() else "There is no"
        msg = f"{what} '{folder}': name the folder that is given to tensorboard --logdir."
        raise DataError(msg)
    return found


def read_events(folder: Path) -> Events:
    """Read the event files of one run; of two values for one step, the later one counts.

    A file that ends in the middle of a record is read up to there.

    Raises:
        DataError: a file holds what TensorBoard's own reader cannot read.
        MissingExtraError: tensorboard is not installed.
    """
    loader = _load("tensorboard.backend.event_processing.event_file_loader")
    found = Events()
    plugins: dict[str, str] = {}
    for path in sorted(path for path in folder.glob(PATTERN) if path.is_file()):
        with _naming(path):
            for event in loader.LegacyEventFileLoader(str(path)).Load():
                for value in event.summary.value:
                    if value.metadata.plugin_data.plugin_name:  # told with a tag's first value
                        plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
                    _take(found, event, value, plugins.get(value.tag, ""))
    return found


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the reader makes of damaged bytes
        msg = f"The event file '{path}' cannot be read: {type(error).__name__}: {error}"
        raise DataError(msg) from error


def _take(found: Events, event: Any, value: Any, plugin: str) -> None:
    tag, step = value.tag, int(event.step)
    which = value.WhichOneof("value")
    if step < 0:
        found.others.add(tag)
        return
    if which == "simple_value":
        found.scalars.setdefault(tag, {})[step] = float(value.simple_value)
    elif which == "tensor" and plugin == "scalars":
        found.scalars.setdefault(tag, {})[step] = float(_array(value).reshape(-1)[0])
    elif which == "histo":
        shape = _of_proto(value.histo)
        if shape is not None:
            found.shapes.setdefault(tag, {})[step] = shape
    elif which == "tensor" and plugin == "histograms":
        shape = _of_triples(_array(value))
        if shape is not None:
            found.shapes.setdefault(tag, {})[step] = shape
    else:
        found.others.add(tag)
        return
    found.times[step] = max(found.times.get(step, -math.inf), float(event.wall_time))


def _array(value: Any) -> NDArray[np.float64]:
    make = _load("tensorboard.util.tensor_util").make_ndarray
    return np.asarray(make(value.tensor), dtype=np.float64)


def _of_proto(histo: Any) -> Shape | None:
    """The older form: upper limits and counts, and exact moments beside them."""
    limits = np.array(histo.bucket_limit, dtype=np.float64)
    counts = np.array(histo.bucket, dtype=np.float64)
    if not histo.num > 0 or len(limits) != len(counts):
        return None
    edges = np.clip(np.concatenate([[histo.min], limits]), histo.min, histo.max)
    rms = math.sqrt(max(histo.sum_squares, 0.0) / histo.num)
    return Shape(edges, counts, histo.sum / histo.num, rms)


def _of_triples(triples: NDArray[np.float64]) -> Shape | None:
    """The newer form: [B, 3] of left edge, right edge and count, and nothing beside them."""
    if triples.ndim != 2 or triples.shape[1] != 3 or not triples[:, 2].sum() > 0:
        return None
    left, right, counts = triples.T
    middle, total = (left + right) / 2, counts.sum()
    edges = np.append(left, right[-1])
    mean = float(middle @ counts / total)
    # an element is anywhere in its bucket: its square is the middle's and a twelfth of the width's
    squares = np.square(middle) + np.square(right - left) / 12
    return Shape(edges, counts, mean, math.sqrt(float(squares @ counts / total)))


def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = "Reading event files needs tensorboard: run `pip install 'gainstage[tensorboard]'`."
        raise MissingExtraError(msg) from error
