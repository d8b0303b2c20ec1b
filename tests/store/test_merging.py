"""Ranks' files written as one."""

import numpy as np
import pytest

from gainstage.errors import RunFileError
from gainstage.records import Remedy, RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import (
    MergedRecording,
    StoredRecording,
    Writer,
    find_run,
    list_runs,
    merge_run,
    save_remedies,
)

SITE = Site(0, "layers.0", "output", "layers.0", "Linear", 0)


def write_ranks(folder, world, steps=1200):
    folder.mkdir(parents=True)
    for rank in range(world):
        info = RunInfo(id=folder.name, started=1.0e9, rank=rank, world=world)
        with Writer(folder / f"rank{rank}.gs", info) as writer:
            writer.add([SITE], [Series(0, 0, "feature_spread"), Series(1, 0, "dead_units")])
            for step in range(steps):
                writer.add_histogram(0, step, Histogram.of(np.ones(4, np.float32)))
                writer.write_frame(step, np.array([step, rank / 8]), t=float(step))
            writer.finish(info)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_a_merged_file_is_as_large_as_one_process_would_write_it(tmp_path, world):
    write_ranks(tmp_path / "runs" / "job-a", world)
    single = tmp_path / "single.gs"
    with Writer(single, RunInfo(id="single", started=1.0e9)) as writer:
        writer.add([SITE], [Series(0, 0, "feature_spread"), Series(1, 0, "dead_units")])
        for step in range(1200):
            writer.add_histogram(0, step, Histogram.of(np.ones(4 * world, np.float32)))
            writer.write_frame(step, np.array([step, 0.0]), t=float(step))
        writer.finish(RunInfo(id="single", started=1.0e9))
    merged = merge_run(tmp_path / "runs" / "job-a")
    assert merged == tmp_path / "runs" / "job-a.gs"
    assert merged.stat().st_size <= single.stat().st_size


def test_a_merged_file_answers_as_the_ranks_do(tmp_path):
    write_ranks(tmp_path / "job-a", 3)
    ranks = MergedRecording(tmp_path / "job-a")
    with StoredRecording(merge_run(tmp_path / "job-a")) as merged:
        assert merged.info == ranks.info
        assert merged.sites == ranks.sites
        assert np.array_equal(merged.steps, ranks.steps)
        for quantity in ranks.quantities(SITE):
            assert np.array_equal(merged.values(SITE, quantity), ranks.values(SITE, quantity))
        for start, stop in ((0, None), (0, 7), (5, 6), (100, 700), (1000, 1200)):
            ours = merged.histogram(SITE, start, stop)
            assert np.array_equal(ours.counts, ranks.histogram(SITE, start, stop).counts)


def test_a_run_of_ranks_is_listed_once_and_found_by_name(tmp_path):
    write_ranks(tmp_path / "job-abcd", 2, steps=3)
    assert [(run.path, run.steps) for run in list_runs(tmp_path)] == [(tmp_path / "job-abcd", 3)]
    for text in ("job-abcd", "abcd", "latest", str(tmp_path / "job-abcd")):
        assert find_run(tmp_path, text) == tmp_path / "job-abcd"
    merged = merge_run(tmp_path / "job-abcd")
    assert [run.path for run in list_runs(tmp_path)] == [merged]
    assert find_run(tmp_path, "latest") == merged
    assert find_run(tmp_path, str(tmp_path / "job-abcd")) == tmp_path / "job-abcd"


def test_nothing_is_overwritten(tmp_path):
    write_ranks(tmp_path / "job-a", 2, steps=3)
    merge_run(tmp_path / "job-a")
    with pytest.raises(RunFileError, match="never overwritten"):
        merge_run(tmp_path / "job-a")


def test_what_was_tried_on_a_run_of_ranks_is_kept(tmp_path):
    folder = tmp_path / "job-a"
    write_ranks(folder, 2, steps=3)
    remedy = Remedy("gradients zeroed", ("gradients-not-zeroed",), "Do it.", verified=True)
    save_remedies(folder / "rank0.gs", [remedy])
    assert MergedRecording(folder).remedies == (remedy,)
    assert StoredRecording(merge_run(folder)).remedies == (remedy,)
