"""What a training of thousands of ranks costs: files written, added up, kept."""

from __future__ import annotations

import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from gainstage.bench.bench import BENCHES, Grid, Line, Outcome, Settings
from gainstage.probe.schedule import HISTOGRAMS_EVERY, has_histograms
from gainstage.quantities import SUMMARY_KEYS
from gainstage.records import RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import MergedRecording, Writer, merge_run
from gainstage.store.addition import Moments, add_moments

RANKS: Final = 10_000
SITES: Final = 5_000
STEPS: Final = 128
_FEW_SITES: Final = 250
_FEW_RANKS: Final = (2, 4, 8, 16)
_ELEMENTS: Final = 4_096
_HOUR: Final = 3_600
"""Steps, at one a second."""


@BENCHES.register("scale")
def scale(settings: Settings) -> Outcome:
    """Measure one rank's file, merges of few ranks, and the addition at all ranks; multiply."""
    del settings
    return measure(RANKS, SITES, STEPS)


def measure(ranks: int, sites: int, steps: int) -> Outcome:
    """Figures for so many ranks and sites.

    What grows in proportion is measured small: one file of all sites, then merges of 2 to 16 ranks
    with 250 sites, through which a line is laid. The addition of all ranks' moments, and a folder
    of that many files, are measured as they are.

    Args:
        ranks: of the training.
        sites: tensors that each measures.
        steps: of the files that are written for it.
    """
    few = min(_FEW_SITES, sites)
    with tempfile.TemporaryDirectory(prefix="gainstage-") as name:
        folder = Path(name)
        began = time.perf_counter()
        file = write_rank(folder / "one", 0, sites, steps)
        written = (time.perf_counter() - began) / steps
        plain = write_rank(folder / "plain", 0, sites, steps, histograms=False)
        numbers = plain.stat().st_size / steps
        one = (file.stat().st_size - numbers * steps) / sum(map(has_histograms, range(steps)))
        later = numbers + one / HISTOGRAMS_EVERY[-1]
        merged = [_merged(folder / f"of{n}", n, few, steps) for n in _FEW_RANKS]
        remembered = _memory_of(folder / "two", file)
        opened, read = _many(folder / "many", ranks)
    slope, start = np.polyfit(_FEW_RANKS, [seconds for seconds, _ in merged], 1)
    a_rank = float(slope) / steps / few * sites
    sizes = [bytes_ / steps / few * sites for _, bytes_ in merged]
    added = _added(ranks, sites)
    lines = [
        Line(f"a rank's file, {sites} sites: numbers of a step", numbers / 1e3, "kB"),
        Line("a rank's file: histograms of a step that keeps them", one / 1e3, "kB"),
        Line("a rank's file: a step of a long training", later / 1e3, "kB"),
        Line("writing it: a step", 1e3 * written, "ms"),
        *(
            Line(f"merged file of {n} ranks: a step of these", each / 1e3, "kB")
            for n, each in zip(_FEW_RANKS, sizes, strict=True)
        ),
        Line("merging: each rank's step", 1e3 * a_rank, "ms"),
        Line("merging: what does not grow with the ranks", 1e3 * float(start) / steps, "ms a step"),
        Line(f"adding the moments of {ranks} ranks, {sites} sites: a step", added, "s"),
        Line(f"a folder of {ranks} files: opened", opened, "s"),
        Line("a folder of that many: one quantity of all ranks", read, "s"),
        Line("reader: what it keeps in memory of each rank", remembered / 1e6, "MB"),
    ]
    measured = [(line.name, f"{line.value:.4g} {line.unit}") for line in lines]
    return Outcome(
        lines,
        (
            Grid("measured", ("what", "figure"), measured),
            _on_paper(ranks, later, a_rank, remembered),
        ),
    )


def _on_paper(ranks: int, size: float, a_rank: float, remembered: float) -> Grid:
    """What follows of the figures for all ranks."""
    rows = (
        ("all ranks' files: a step", f"{ranks * size / 1e9:.2f} GB"),
        ("an hour of one step a second", f"{ranks * size * _HOUR / 1e12:.1f} TB"),
        ("the same, every 100th step", f"{ranks * size * _HOUR / 1e14:.2f} TB"),
        ("merging on one core: a step", f"{ranks * a_rank:.0f} s"),
        ("memory of the reader", f"{ranks * remembered / 1e9:.1f} GB"),
        ("merged file: an hour of one step a second", f"{size * _HOUR / 1e9:.1f} GB"),
    )
    return Grid(f"on paper, {ranks} ranks", ("what", "figure"), rows)


def write_rank(folder: Path, rank: int, sites: int, steps: int, *, histograms: bool = True) -> Path:
    """A rank's file with all moments of its sites, and histograms as often as a training has them.

    Args:
        folder: of the run.
        rank: whose file it is.
        sites: how many, all of them outputs: parts of a batch, of which the moments add up.
        steps: how many.
        histograms: whether there are any.
    """
    folder.mkdir(exist_ok=True)
    places = [
        Site(i, f"layers.{i}", "output", f"layers.{i}", "Linear", i, (64, 64), merge="sum")
        for i in range(sites)
    ]
    series = [
        Series(place.id * len(SUMMARY_KEYS) + k, place.id, key)
        for place in places
        for k, key in enumerate(SUMMARY_KEYS)
    ]
    rng = np.random.default_rng(rank)
    info = RunInfo(folder.name, 1.7e9, "train.py", status="finished", rank=rank, world=rank + 1)
    path = folder / f"rank{rank}.gs"
    spread = Histogram.of(rng.normal(size=_ELEMENTS).astype(np.float32))
    with Writer(path, info) as writer:
        writer.add(places, series)
        for step in range(steps):
            if histograms and has_histograms(step):
                for place in places:
                    writer.add_histogram(place.id, step, spread)
            moments = _moments(rng, sites)
            row = np.stack([moments[key] for key in SUMMARY_KEYS], axis=1)
            writer.write_frame(step, row.reshape(-1), t=float(step))
        writer.finish(info)
    return path


def _moments(rng: np.random.Generator, sites: int) -> Moments:
    """Moments of one rank's tensors, one of each site."""
    mean, std = rng.normal(size=sites), np.exp(0.1 * rng.normal(size=sites))
    rms = np.hypot(mean, std)
    none = np.zeros(sites)
    return {
        "count": np.full(sites, float(_ELEMENTS)),
        "mean": mean,
        "rms": rms,
        "std": std,
        "l2": rms * _ELEMENTS**0.5,
        "min": mean - 4 * std,
        "max": mean + 4 * std,
        "zero_share": none,
        "nan": none,
        "inf": none,
        "rms_error": none,
    }


def _merged(folder: Path, ranks: int, sites: int, steps: int) -> tuple[float, int]:
    """Seconds to merge so many ranks, and bytes of what comes of it."""
    for rank in range(ranks):
        write_rank(folder, rank, sites, steps)
    began = time.perf_counter()
    merged = merge_run(folder)
    return time.perf_counter() - began, merged.stat().st_size


def _added(ranks: int, sites: int) -> float:
    """Seconds to add one step's moments of all ranks, which are made beforehand."""
    rng = np.random.default_rng(0)
    some = [_moments(rng, sites) for _ in range(8)]

    def parts() -> Iterator[Moments]:
        for rank in range(ranks):
            yield some[rank % len(some)]

    began = time.perf_counter()
    add_moments(parts())
    return time.perf_counter() - began


def _memory_of(folder: Path, file: Path) -> float:
    """Bytes that one more rank takes in a merged recording."""
    folder.mkdir()
    held = []
    for rank in range(3):
        shutil.copyfile(file, folder / f"rank{rank}.gs")
        tracemalloc.start()
        with MergedRecording(folder):
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    return float(held[2] - held[1])


def _many(folder: Path, ranks: int) -> tuple[float, float]:
    """Seconds to open a folder of so many ranks, and to read one quantity of it."""
    first = write_rank(folder, 0, 4, 16)
    for rank in range(1, ranks):
        shutil.copyfile(first, folder / f"rank{rank}.gs")
    began = time.perf_counter()
    with MergedRecording(folder) as merged:
        opened = time.perf_counter() - began
        merged.values(merged.sites[0], "rms")
        read = time.perf_counter() - began - opened
    return opened, read
