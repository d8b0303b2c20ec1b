"""What a map of losses is, and how it is kept."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.store import load_map, save_map


@dataclass(frozen=True, slots=True, repr=False)
class LossMap:
    """Losses of a model over a plane, or along a line.

    Attributes:
        x: coordinates along the first direction.
        y: along the second; one zero for a line.
        names: of the losses.
        values: [loss, y, x]; NaN where it is NaN, and where an interrupted map was not evaluated.
        axes: what the coordinates are.
        path: [point, 2] of a trajectory on the plane, or none.
        note: what the figure has to say, such as the statistics that BatchNorm used.
        rows: how many rows of y are done; fewer than there are if it was interrupted.
    """

    x: Tensor
    y: Tensor
    names: tuple[str, ...]
    values: Tensor
    axes: tuple[str, str] = ("first direction", "second direction")
    path: Tensor | None = field(default=None)
    note: str = ""
    rows: int = 0

    @override
    def __repr__(self) -> str:
        """Its size, its losses and their range."""
        size = f"{len(self.x)} x {len(self.y)}" if len(self.y) > 1 else f"{len(self.x)}"
        finite = self.values[self.values.isfinite()]
        span = f"{float(finite.min()):.4g} to {float(finite.max()):.4g}" if len(finite) else "none"
        left = "" if self.complete else f", {self.rows} of {len(self.y)} rows done"
        return f"<LossMap {size} of {', '.join(self.names)}: {span}{left}>"

    @property
    def complete(self) -> bool:
        """Whether every point was evaluated."""
        return self.rows == len(self.y)

    def save(self, path: str | os.PathLike[str], name: str = "plane") -> None:
        """Keep the map: in a run file, or as a NumPy archive.

        Args:
            path: of a run, which ends in ``.gs`` (``gs.open("latest").path``), or of a new file,
                which ends in ``.npz``.
            name: to find it by in a run file, in place of one of the same name.

        Raises:
            RunFileError: the run file is not sound, or cannot be written.
            UsageError: the path ends in something else.
        """
        if _is_run(path):
            buffer = io.BytesIO()
            self._write(buffer)
            save_map(path, name, buffer.getvalue())
            return
        with Path(path).open("wb") as file:
            self._write(file)

    def _write(self, file: BinaryIO) -> None:
        arrays = {"x": self.x, "y": self.y, "values": self.values}
        if self.path is not None:
            arrays["path"] = self.path
        texts = {"names": self.names, "axes": self.axes, "note": self.note, "rows": self.rows}
        np.savez_compressed(file, **{k: v.numpy() for k, v in arrays.items()}, **texts)  # type: ignore[arg-type]

    @staticmethod
    def load(path: str | os.PathLike[str], name: str = "plane") -> LossMap:
        """Read a map that was kept; what is read is data and can execute nothing.

        Args:
            path: of the run, or of the archive.
            name: by which it was kept in a run file.

        Raises:
            RunFileError: the run has no map of that name, or its file is not sound.
            UsageError: the path ends in something else than ``.gs`` or ``.npz``.
        """
        source = io.BytesIO(load_map(path, name)) if _is_run(path) else path
        with np.load(source, allow_pickle=False) as kept:
            texts = {name: tuple(kept[name].tolist()) for name in ("names", "axes")}
            trajectory = torch.from_numpy(kept["path"]) if "path" in kept else None
            arrays = [torch.from_numpy(kept[name]) for name in ("x", "y", "values")]
            note, rows = str(kept["note"]), int(kept["rows"])
        x, y, values = arrays
        return LossMap(x, y, texts["names"], values, texts["axes"], trajectory, note, rows)


def _is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a run's; UsageError if it is neither that nor an archive's."""
    ending = Path(path).suffix
    if ending not in {".gs", ".npz"}:
        msg = f"A map is kept in a run (.gs) or as an archive (.npz), and not in {str(path)!r}."
        raise UsageError(msg)
    return ending == ".gs"
