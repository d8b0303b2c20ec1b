"""What the figures of a run share: whose they are, and how names and gaps are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from gainstage.errors import UsageError
from gainstage.recording import Recording
from gainstage.render.canvas import MUTED
from gainstage.render.words import clean, shorten
from gainstage.store import MergedRecording, StoredRecording

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Recorded(Protocol):
    """A run: stored, or watched just now."""

    @property
    def recording(self) -> Recording:
        """Its sites and series."""
        ...


def recording_of(run: Recorded | Recording) -> Recording:
    """The recording of a run as it is now, or the one that was given."""
    recording = getattr(run, "recording", run)
    if not isinstance(recording, Recording):
        msg = f"A figure is of a run, gs.open({run!r}), or of its recording."
        raise UsageError(msg)
    if recording is not run and isinstance(recording, StoredRecording | MergedRecording):
        recording.refresh()
    return recording


def label(name: str, most: int = 32) -> str:
    """A name of a stranger's as text: one line, no mathematics, and no start that legends hide."""
    text = shorten(clean(name).strip(), most).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def known(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Chart data as floats: NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def depth_colours(count: int) -> list[tuple[float, float, float, float]]:
    """First layer to last, without the ends that vanish on white."""
    from matplotlib import colormaps  # noqa: PLC0415  # an optional dependency

    shades = colormaps["viridis"](np.linspace(0.05, 0.85, max(count, 1)))
    return [tuple(map(float, shade)) for shade in shades]  # type: ignore[misc]


def nothing(axes: Axes, text: str) -> None:
    """Say in the middle of empty axes why they are empty."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def name_rows(axes: Axes, names: Sequence[str], most: int = 42) -> None:
    """Names at the rows 0, 1, 2, ... from the top down, some left out where there are many."""
    every = max(1, -(-len(names) // most))
    rows = range(0, len(names), every)
    axes.set_yticks(list(rows), [label(names[row]) for row in rows], family="monospace")
    axes.set_ylim(len(names) - 0.4, -0.6)
