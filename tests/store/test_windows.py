import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gainstage.records import RunInfo, Site
from gainstage.sketch import Histogram
from gainstage.sketch.histogram import BINS
from gainstage.store import StoredRecording, Writer
from gainstage.store.windows import Merger, Window, cover


def at(step):
    """One element whose bin tells the step, for steps up to 2000 or so."""
    counts = np.zeros(BINS, dtype=np.int64)
    counts[step % BINS] = 1
    return Histogram(counts)


def rows_after(steps, *, flush=True, sites=(0,)):
    """The rows that a file would hold: (site, window) to histogram."""
    merger, rows = Merger(), {}

    def commit():
        for site, window, data in merger.stored:
            rows[site, window] = Histogram.from_bytes(data)
        for site, size, start, stop in merger.superseded:
            for key in [k for k in rows if k[0] == site and k[1].size == size]:
                if start <= key[1].step0 < stop:
                    del rows[key]
        merger.stored.clear()
        merger.superseded.clear()

    for step in steps:
        for site in sites:
            merger.add(site, step, at(step))
        merger.advance(step)
        commit()
    if flush:
        merger.flush()
        commit()
    return rows


def steps_in(rows, start, stop, end):
    found = Histogram.empty()
    picked = cover([window for _, window in rows], start, stop, end)
    for window in picked:
        found = found + rows[0, window]
    assert found.counts.max(initial=0) <= 1, "a step was counted twice"
    return np.flatnonzero(found.counts).tolist(), picked


@settings(deadline=None, max_examples=40)
@given(
    first=st.integers(0, 500),
    gaps=st.lists(st.sampled_from([1, 1, 1, 2, 10, 37, 300]), max_size=150),
    flush=st.booleans(),
    ends=st.tuples(st.integers(0, 4000), st.integers(0, 4000)),
)
def test_every_step_is_covered_once(first, gaps, flush, ends):
    steps = [s for s in np.cumsum([first, *gaps]).tolist() if s < BINS]
    rows = rows_after(steps, flush=flush)
    everything, _ = steps_in(rows, 0, None, steps[-1] + 1)
    if flush:
        assert everything == steps
    else:  # as after a kill: only the last open window may be missing
        assert everything == steps[: len(everything)]
        age = steps[-1] - steps[0]
        lost = steps[len(everything) :]
        assert len(lost) <= (0 if age < 100 else 10 if age < 1000 else 100)
    start, stop = min(ends), max(ends)
    found, _ = steps_in(rows, start, stop, steps[-1] + 1)
    assert set(found) >= {s for s in everything if start <= s < stop}


@pytest.mark.parametrize("length", [1, 10, 99, 100, 101, 1000, 1001, 2000, 2345, 4000])
def test_zoom_is_fine_at_both_ends(length):
    rows = rows_after(range(length))
    end = length
    for step in range(0, min(length, 100), 7):
        assert steps_in(rows, step, step + 1, end)[0] == [step]
    assert steps_in(rows, length - 1, None, end)[0] == [length - 1]
    found, _ = steps_in(rows, max(0, length - 5), None, end)
    assert len(found) <= 20
    assert len(steps_in(rows, 0, None, end)[1]) <= max(1, length // 1000 + 1)
    for start in range(0, min(length, 1000) - 10, 90):
        found, picked = steps_in(rows, start, start + 10, end)
        assert set(range(start, start + 10)) <= set(found)
        assert max(window.size for window in picked) <= 10 or length % 10


def test_long_run_stays_small():
    merger, kept = Merger(), 0
    for step in range(0, 60_000, 5):
        merger.add(0, step, at(step))
        merger.advance(step)
        gone = {(w.size, w.step0) for _, w, _ in merger.stored}
        kept += len(gone)
        merger.stored.clear()
    assert kept < 1000  # before anything superseded is dropped


def test_superseded_windows_are_dropped_but_for_the_last_ones():
    rows = rows_after(range(0, 14_500, 10))
    hundreds = sorted(w.step0 for _, w in rows if w.size == 100)
    assert hundreds == [*range(0, 10_000, 100), *range(13_000, 14_500, 100)]
    assert sorted(w.step0 for _, w in rows if w.size == 1000) == [*range(0, 15_000, 1000)]


def test_incomplete_windows_are_not_taken_for_a_part():
    stored = [Window(100, 0, 100), Window(10, 90, 10)]
    assert cover(stored, 0, 50, 100) == [Window(100, 0, 100)]
    assert cover(stored, 92, None, 100) == [Window(10, 90, 10)]
    assert cover(stored, 0, None, 100) == [Window(100, 0, 100)]
    assert cover([], 0, None, 0) == []


def test_overlapping_windows_of_an_altered_file_end_somehow():
    stored = [Window(size, start, 1) for size in (1000, 100, 10) for start in range(2000)]
    assert cover(stored, 5, 1500, 2000)


@pytest.mark.parametrize("finish", [True, False])
def test_file_holds_the_sum_of_everything_added(tmp_path, finish):
    rng = np.random.default_rng(3)
    sites = [Site(i, f"l{i}", "output", f"l{i}", "", i) for i in range(2)]
    total = [Histogram.empty(), Histogram.empty()]
    with Writer(tmp_path / "a.gs", RunInfo("a", 0.0)) as writer:
        writer.add(sites, [])
        for step in range(7, 2600, 3):
            for site in (0, 1) if step % 2 else (0,):
                for _ in range(1 + (step % 50 == 0)):  # a module may be called twice
                    part = Histogram.of(rng.standard_normal(20).astype(np.float32))
                    writer.add_histogram(site, step, part)
                    total[site] = total[site] + part
            writer.write_frame(step, np.empty(0, dtype=np.float32), t=0.0)
        part = Histogram.of(np.ones(3, dtype=np.float32))
        writer.add_histogram(0, 2700, part)  # its frame never comes
        total[0] = total[0] + part
        if finish:
            writer.finish(RunInfo("a", 0.0))
    run = StoredRecording(tmp_path / "a.gs")
    for site, expected in zip(sites, total, strict=True):
        np.testing.assert_array_equal(run.histogram(site).counts, expected.counts)
        halves = run.histogram(site, 0, 1007) + run.histogram(site, 1007)
        np.testing.assert_array_equal(halves.counts, expected.counts)
    assert run.histogram(sites[0], 2700).total == 3
    assert run.damaged == 0
