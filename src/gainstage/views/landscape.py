"""A landscape that was kept as a NumPy archive: maps of losses, and the ways across them.

:meth:`gainstage.landscape.LossMap.save` and :meth:`gainstage.landscape.Race.save` write such
files. Not in the registry of views, for those are of one run.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gainstage.errors import RunFileError
from gainstage.views.view import Floats, Numbers, numbers

LARGEST: Final = 64_000_000
"""Bytes of an array that is read; a larger one is no map that a page can show."""

_MOST_MEMBERS: Final = 32
_SIDE: Final = 121
_MOST_MAPS: Final = 6
_MOST_PATHS: Final = 24
_MOST_POINTS: Final = 600


@dataclass(frozen=True, slots=True)
class Course:
    """A way across a landscape.

    Attributes:
        name: whose; ``""`` for the training's.
        x: coordinates along the first direction; None from where it left the finite numbers.
        y: along the second.
        heights: the loss at each point, as far as the map knows it.
        every: how many steps there are from one point to the next.
    """

    name: str
    x: Numbers
    y: Numbers
    heights: Numbers
    every: int


@dataclass(frozen=True, slots=True)
class Landscape:
    """Losses over a plane, or along a line.

    Attributes:
        axes: what the coordinates are.
        x: coordinates along the first direction.
        y: along the second; one zero for a line.
        names: of the losses.
        values: [loss][y][x]; None where one is not finite or was not evaluated.
        courses: ways across it, the same on each map.
        note: what is to be said of it.
        complete: whether every point was evaluated.
    """

    axes: tuple[str, str]
    x: Numbers
    y: Numbers
    names: tuple[str, ...]
    values: tuple[tuple[Numbers, ...], ...]
    courses: tuple[Course, ...]
    note: str
    complete: bool


def read_landscape(path: str | os.PathLike[str]) -> Landscape:
    """A landscape of a file, thinned to what a page can show.

    The file is taken for a stranger's: it is data, nothing in it is run, and sizes are bounded.

    Args:
        path: of the archive.

    Raises:
        RunFileError: it is missing, no such archive, or too large.
    """
    try:
        arrays = dict(_arrays(Path(path)))
        return _landscape(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        told = f"it has no {error}" if isinstance(error, KeyError) else str(error) or "it is cut"
        msg = f"The landscape '{Path(path).name}' cannot be read: {told}."
        raise RunFileError(msg) from error


def _arrays(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            msg = f"it holds {len(members)} arrays"
            raise ValueError(msg)
        for member in members:
            if member.file_size > LARGEST:
                msg = f"its array '{member.filename[:40]}' has {member.file_size:,} bytes"
                raise ValueError(msg)
            with archive.open(member) as file:
                _check(file, member)
            with archive.open(member) as file:
                name = member.filename.removesuffix(".npy")
                yield name, npy.read_array(file, allow_pickle=False)


def _check(file: IO[bytes], member: zipfile.ZipInfo) -> None:
    """Refuse an array that says it is larger than it is: its room would be taken all the same."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        msg = f"its array '{member.filename[:40]}' is cut"
        raise ValueError(msg)


def _landscape(arrays: dict[str, NDArray[Any]]) -> Landscape:
    x, y, values = (np.asarray(arrays[key], dtype=np.float64) for key in ("x", "y", "values"))
    if x.ndim != 1 or y.ndim != 1 or values.ndim != 3 or values.shape[1:] != (len(y), len(x)):
        msg = f"a map of {values.shape} does not fit axes of {len(y)} and {len(x)}"
        raise ValueError(msg)
    if not values.size:
        msg = "its map is empty"
        raise ValueError(msg)
    names, axes = _texts(arrays["names"]), _texts(arrays["axes"])
    if len(axes) != 2 or len(names) != len(values):
        msg = "its names do not fit its maps"
        raise ValueError(msg)
    across, up = _thinned(len(x), _SIDE), _thinned(len(y), _SIDE)
    maps = values[:_MOST_MAPS][:, up][:, :, across]
    return Landscape(
        axes=(axes[0], axes[1]),
        x=numbers(x[across]),
        y=numbers(y[up]),
        names=names[:_MOST_MAPS],
        values=tuple(tuple(numbers(row, 5) for row in one) for one in maps),
        courses=tuple(_courses(arrays, x, y, values[0])),
        note=" ".join(_texts(arrays.get("note", np.array("")))),
        complete=int(arrays.get("rows", np.array(len(y)))) >= len(y),
    )


def _texts(array: NDArray[Any]) -> tuple[str, ...]:
    return tuple(str(text)[:400] for text in np.atleast_1d(array)[:64].tolist())


def _courses(
    arrays: dict[str, NDArray[Any]], x: Floats, y: Floats, first: Floats
) -> Iterator[Course]:
    """The ways of a race, which knows their heights, or the one of a training."""
    if "paths" in arrays:
        paths = np.asarray(arrays["paths"], dtype=np.float64)
        heights = np.asarray(arrays["heights"], dtype=np.float64)
        names = _texts(arrays["path_names"])
    elif "path" in arrays:
        paths = np.asarray(arrays["path"], dtype=np.float64)[None]
        heights = _on_map(x, y, first, paths) if paths.ndim == 3 else paths
        names = ("",)
    else:
        return
    if paths.ndim != 3 or paths.shape[2:] != (2,) or heights.shape != paths.shape[:2]:
        msg = f"its ways of {paths.shape} are none on a plane"
        raise ValueError(msg)
    if len(names) != len(paths):
        msg = "its names do not fit its ways"
        raise ValueError(msg)
    kept = _thinned(paths.shape[1], _MOST_POINTS)
    for name, path, height in list(zip(names, paths, heights, strict=True))[:_MOST_PATHS]:
        ways = numbers(path[kept, 0]), numbers(path[kept, 1]), numbers(height[kept], 5)
        yield Course(name, *ways, every=int(kept[1] - kept[0]) if len(kept) > 1 else 1)


def _thinned(count: int, most: int) -> NDArray[np.int64]:
    """Every so manieth position, and the last one."""
    every = max(1, -(-count // most))
    return np.unique(np.append(np.arange(0, count, every), max(count - 1, 0)))


def _on_map(x: Floats, y: Floats, values: Floats, paths: Floats) -> Floats:
    """Bilinear heights of points on a map, NaN beside it: [path, point]."""
    if len(x) < 2 or len(y) < 2:
        return np.full(paths.shape[:2], np.nan)
    with np.errstate(invalid="ignore"):
        place = [
            (paths[..., i] - axis[0]) / (axis[-1] - axis[0]) * (len(axis) - 1)
            for i, axis in enumerate((x, y))
        ]
        inside = (place[0] >= 0) & (place[0] <= len(x) - 1)
        inside &= (place[1] >= 0) & (place[1] <= len(y) - 1)
    right = np.clip(np.nan_to_num(place[0]), 0, len(x) - 1 - 1e-9)
    above = np.clip(np.nan_to_num(place[1]), 0, len(y) - 1 - 1e-9)
    i, j = right.astype(int), above.astype(int)
    s, t = right - i, above - j
    low = values[j, i] * (1 - s) + values[j, i + 1] * s
    high = values[j + 1, i] * (1 - s) + values[j + 1, i + 1] * s
    return np.where(inside, low * (1 - t) + high * t, np.nan)
