"""A training that writes as fast as it can until it is killed; run by test_kill.py.

Usage: endless_run.py PATH COMPACT_EVERY FINISH_AFTER. Every acknowledged step goes to stdout as
eight bytes; -1 says that the run has finished cleanly.
"""

import os
import sys

import numpy as np

from gainstage.records import Event, RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.sketch.histogram import BINS
from gainstage.store import Writer


def acknowledge(step):
    os.write(1, step.to_bytes(8, "little", signed=True))


def one_step(writer, step):
    """Step s has the values s, s + 1, ...; its histogram is one element in bin s."""
    if step % 40 == 0 and step < 400:
        known = step // 40
        writer.add(
            [Site(known, f"layers.{known}", "output", f"layers.{known}", "", known)],
            [Series(known * 5 + i, known, f"q{i}") for i in range(5)],
        )
    counts = np.zeros(BINS, dtype=np.int64)
    counts[step % BINS] = 1
    writer.add_histogram(0, step, Histogram(counts))
    if step % 17 == 0:
        writer.add_event(Event(step, "tick"))
    width = min(step // 40 + 1, 10) * 5
    writer.write_frame(step, np.arange(width, dtype=np.float32) + step, t=float(step))
    acknowledge(step)


def main():
    path, compact_every, finish_after = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    info = RunInfo("run", 0.0)
    writer = Writer(path, info, compact_every=compact_every)
    for step in range(finish_after):
        one_step(writer, step)
    writer.finish(info)
    acknowledge(-1)


if __name__ == "__main__":
    main()
