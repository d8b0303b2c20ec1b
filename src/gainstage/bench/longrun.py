"""A long run of a deep network, written without a training: what the page is timed on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np

from gainstage.records import Kind, RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import Writer

KINDS: Final[tuple[Kind, ...]] = ("output", "output_grad", "weight", "grad", "update")
_HISTOGRAM_EVERY: Final = 500


def write_long_run(path: str | os.PathLike[str], sites: int = 1000, steps: int = 100_000) -> Path:
    """Write a run file with levels that wander, a falling loss, and histograms now and then.

    Args:
        path: of the new file.
        sites: how many, a fifth of them of each kind; two series at each output, one elsewhere.
        steps: how many.
    """
    stages = sites // len(KINDS)
    info = RunInfo(Path(path).stem, 1.7e9, "train_deep.py", seconds=steps * 0.01)
    places = [Site(0, "run", "run", "", "", 0)]
    series = [Series(0, 0, "loss"), Series(1, 0, "chance_loss"), Series(2, 0, "lr")]
    for kind in KINDS:
        for stage in range(stages):
            tail = "" if kind in {"output", "output_grad"} else ".weight"
            name = f"blocks.{stage // 8}.layers.{stage % 8}"
            place = Site(len(places), name + tail, kind, name, "Linear", stage, (64, 64))
            places.append(place)
            series.append(Series(len(series), place.id, "rms"))
            if kind == "output":
                series.append(Series(len(series), place.id, "dead_units"))
    rng = np.random.default_rng(0)
    levels = rng.normal(-1.0, 0.3, len(series))
    spread = Histogram.of(rng.normal(size=4096).astype(np.float32))
    with Writer(path, info) as writer:
        writer.add(places, series)
        for step in range(steps):
            noise = rng.standard_normal(len(series), dtype=np.float32)
            values = np.exp(levels + 0.05 * noise + 0.3 * np.sin(levels * step / 3000))
            values[:3] = 0.1 + 2.2 * np.exp(-step / 20_000) + 0.02 * noise[0], 2.303, 0.01
            if step % _HISTOGRAM_EVERY == 0:
                for place in places[1:]:
                    writer.add_histogram(place.id, step, spread)
            writer.write_frame(step, values.astype(np.float32), t=step * 0.01)
        writer.finish(
            RunInfo(info.id, info.started, info.script, status="finished", seconds=info.seconds)
        )
    return Path(path)
