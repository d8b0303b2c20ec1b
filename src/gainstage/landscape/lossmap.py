"""What a map of losses is, and how it is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override


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
        size = " x ".join(str(len(axis)) for axis in (self.x, self.y) if len(axis) > 1)
        finite = self.values[self.values.isfinite()]
        span = f"{float(finite.min()):.4g} to {float(finite.max()):.4g}" if len(finite) else "none"
        left = "" if self.complete else f", {self.rows} of {len(self.y)} rows done"
        return f"<LossMap {size} of {', '.join(self.names)}: {span}{left}>"

    @property
    def complete(self) -> bool:
        """Whether every point was evaluated."""
        return self.rows == len(self.y)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Keep the map as a NumPy archive.

        Args:
            path: of a file that ends in ``.npz``.
        """
        arrays = {"x": self.x, "y": self.y, "values": self.values}
        if self.path is not None:
            arrays["path"] = self.path
        texts = {"names": self.names, "axes": self.axes, "note": self.note, "rows": self.rows}
        np.savez_compressed(path, **{k: v.numpy() for k, v in arrays.items()}, **texts)  # type: ignore[arg-type]

    @staticmethod
    def load(path: str | os.PathLike[str]) -> LossMap:
        """Read a map that was kept; the file is data and can execute nothing.

        Args:
            path: the file.
        """
        with np.load(path, allow_pickle=False) as kept:
            texts = {name: tuple(kept[name].tolist()) for name in ("names", "axes")}
            trajectory = torch.from_numpy(kept["path"]) if "path" in kept else None
            arrays = [torch.from_numpy(kept[name]) for name in ("x", "y", "values")]
            note, rows = str(kept["note"]), int(kept["rows"])
        x, y, values = arrays
        return LossMap(x, y, texts["names"], values, texts["axes"], trajectory, note, rows)
