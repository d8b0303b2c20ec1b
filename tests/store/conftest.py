"""A small run to write, and a writer that is always closed."""

import numpy as np
import pytest

from gainstage.records import RunInfo, Series, Site
from gainstage.store import Writer


def sites(n):
    """n sites, the first of which is the run itself."""
    return [
        Site(i, f"layers.{i}" if i else "run", "output" if i else "run", f"layers.{i}", "Linear", i)
        for i in range(n)
    ]


def write_run(path, steps, *, series=3, compact_every=512, finish=True, values=None):
    """Write a run whose value at (step, series) is step + series / 10; returns the matrix."""
    info = RunInfo(id=path.stem, started=1.0e9)
    matrix = np.array([[s + i / 10 for i in range(series)] for s in steps], dtype=np.float32)
    matrix = matrix if values is None else np.asarray(values, dtype=np.float32)
    writer = Writer(path, info, compact_every=compact_every)
    names = ["loss"] + [f"q{i}" for i in range(1, series)]
    writer.add(sites(1), [Series(i, 0, name) for i, name in enumerate(names)])
    for step, row in zip(steps, matrix, strict=True):
        writer.write_frame(step, row, t=step / 8)
    if finish:
        writer.finish(RunInfo(id=path.stem, started=1.0e9, status="finished"))
    writer.close()
    return matrix


@pytest.fixture(scope="session")
def make_sites():
    return sites


@pytest.fixture(scope="session")
def make_run():
    return write_run


@pytest.fixture
def writer(tmp_path):
    with Writer(tmp_path / "run.gs", RunInfo("run", 1.0e9), compact_every=4) as writer:
        yield writer
