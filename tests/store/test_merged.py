"""Ranks' files as one recording."""

from dataclasses import replace

import numpy as np
import pytest

from gainstage.errors import RunFileError
from gainstage.quantities import SUMMARY_KEYS
from gainstage.records import Event, RunInfo, Series, Site
from gainstage.sketch import Histogram
from gainstage.store import MergedRecording, StoredRecording, Writer

RUN = Site(0, "run", "run", "", "", 0)
OUTPUT = Site(1, "layers.0", "output", "layers.0", "Linear", 0)
QUANTITIES = {
    "run": ("loss", "grad_norm", "predicted_change", "lr", "seconds"),
    "output": (*SUMMARY_KEYS, "dead_units", "saturated"),
}


def parameter(kind, number, merge):
    return Site(number, "layers.0.weight", kind, "layers.0", "Linear", 0, (4,), merge=merge)


def write_rank(
    folder, rank, *, steps=3, merge="same", world=2, finish="finished", norm=2.0, **numbers
):
    """A rank whose output is `count` elements of the value 1 + rank, with the given numbers."""
    folder.mkdir(exist_ok=True)
    sites = [RUN, OUTPUT, parameter("grad", 2, merge), parameter("update", 3, merge)]
    series = [
        (site.id, name)
        for site in sites
        for name in QUANTITIES.get(site.kind, (*SUMMARY_KEYS, "cosine"))
    ]
    info = RunInfo(id=folder.name, started=1.0e9 + rank, rank=rank, world=world)
    value, count = 1.0 + rank, numbers.get("count", 4.0)
    moments = {"count": count, "mean": value, "rms": value, "std": 0.0, "l2": value * count**0.5}
    moments |= {"min": value, "max": value, "zero_share": 0.0, "nan": 0.0, "inf": 0.0}
    moments |= {"rms_error": 0.0}
    run = {"loss": value, "grad_norm": norm, "predicted_change": -value, "lr": 0.1}
    run |= {"seconds": value}
    other = {"dead_units": 0.5 / value, "saturated": 0.1 * value, "cosine": 0.2 * value}
    row = np.array([(moments | run | other)[name] for _, name in series])
    with Writer(folder / f"rank{rank}.gs", info) as writer:
        writer.add(sites, [Series(i, *one) for i, one in enumerate(series)])
        for event in numbers.get("events", ()):
            writer.add_event(event)
        for step in range(steps):
            for site in sites[1:]:
                histogram = Histogram.of(np.full(int(count), value, np.float32))
                writer.add_histogram(site.id, step, histogram)
            writer.write_frame(step, row, t=step + rank / 10)
        if finish:
            writer.finish(replace(info, status=finish, outcome=numbers.get("outcome", "")))


def first(merged, name, kind, quantity):
    return merged.exact(merged.site(name, kind), quantity)[0]


def test_parts_of_a_batch_add_up(tmp_path):
    write_rank(tmp_path / "a", 0)
    write_rank(tmp_path / "a", 1, count=12.0)
    merged = MergedRecording(tmp_path / "a")
    ask = lambda quantity: first(merged, "layers.0", "output", quantity)  # noqa: E731
    assert ask("count") == 16
    assert ask("mean") == pytest.approx((4 + 24) / 16)
    assert ask("l2") == pytest.approx((4 * 1 + 12 * 4) ** 0.5)
    assert ask("dead_units") == 0.25  # dead in all is dead in each
    assert ask("saturated") == pytest.approx((4 * 0.1 + 12 * 0.2) / 16)
    assert merged.histogram(merged.site("layers.0", "output"), 0, 1).total == 16
    assert merged.frame()["layers.0", "output", "count"].tolist() == [16.0] * 3
    assert merged.times.tolist() == [0.1, 1.1, 2.1]
    assert len(merged.steps) == 3
    assert merged.events == ()


def test_of_copies_one_is_taken_and_of_shards_the_sum(tmp_path):
    for merge, count, norm, change in (("same", 4, 2.0, -1.0), ("sum", 8, 20**0.5, -3.0)):
        for rank in range(2):
            write_rank(tmp_path / merge, rank, merge=merge)
        merged = MergedRecording(tmp_path / merge)
        assert first(merged, "layers.0.weight", "grad", "count") == count
        assert first(merged, "run", "run", "grad_norm") == pytest.approx(norm)
        assert first(merged, "run", "run", "predicted_change") == change
        assert first(merged, "run", "run", "loss") == 1.5
        assert first(merged, "run", "run", "seconds") == 2.0
        assert merged.histogram(merged.site("layers.0.weight", "grad"), 0, 1).total == count


def test_on_a_mesh_that_replicates_the_first_replica_counts(tmp_path):
    for rank, merge in enumerate(("sum", "sum", "same", "same")):
        write_rank(tmp_path / "a", rank, merge=merge, world=4)
    merged = MergedRecording(tmp_path / "a")
    assert first(merged, "layers.0.weight", "grad", "count") == 8
    assert first(merged, "run", "run", "predicted_change") == -3.0
    # cosines of shards, weighted by their squared norms
    assert first(merged, "layers.0.weight", "grad", "cosine") == pytest.approx(
        (0.2 * 1 + 0.4 * 4) / 5
    )


def test_a_rank_that_died_is_missing_from_then_on(tmp_path):
    write_rank(tmp_path / "a", 0, finish="failed", outcome="RuntimeError: peer gone")
    write_rank(tmp_path / "a", 1, steps=1, finish="")
    merged = MergedRecording(tmp_path / "a")
    counts = merged.exact(merged.site("layers.0", "output"), "count")
    assert counts.tolist() == [8, 4, 4]
    (event,) = merged.events
    assert (event.code, event.step, event.data["rank"]) == ("rank-missing", 1, 1)
    assert (merged.info.status, merged.info.outcome) == (
        "failed",
        "rank 0: RuntimeError: peer gone",
    )
    assert (merged.info.rank, merged.info.world, merged.info.id) == (None, 2, "a")


def test_a_rank_that_never_wrote_or_cannot_be_read_is_missing_from_the_start(tmp_path):
    write_rank(tmp_path / "a", 1, world=3)
    (tmp_path / "a" / "rank2.gs").write_bytes(b"no run" * 999)
    events = MergedRecording(tmp_path / "a").events
    assert [(e.code, e.step, e.data["rank"]) for e in events] == [
        ("rank-missing", 0, 0),
        ("rank-missing", 0, 2),
    ]
    assert "cannot be read" in events[1].data["reason"]


@pytest.mark.parametrize(("ahead", "missing"), [(3, False), (100, True)])
def test_a_rank_at_work_may_be_behind_but_not_for_long(tmp_path, ahead, missing):
    for rank, steps in enumerate((ahead, 2)):
        write_rank(tmp_path / "a", rank, steps=steps, finish="")
    merged = MergedRecording(tmp_path / "a")
    assert bool(merged.events) == missing
    assert merged.info.status == "running"


def test_later_steps_and_ranks_are_taken_in(tmp_path):
    write_rank(tmp_path / "a", 0)
    merged = MergedRecording(tmp_path / "a")
    assert [event.code for event in merged.events] == ["rank-missing"]
    write_rank(tmp_path / "a", 1, steps=5)
    assert merged.refresh()
    assert len(merged.steps) == 5
    assert not merged.refresh()


def test_copies_that_differ_are_told(tmp_path):
    write_rank(tmp_path / "a", 0)
    write_rank(tmp_path / "a", 1, norm=2.1)
    (event,) = MergedRecording(tmp_path / "a").events
    assert (event.step, event.code, event.site) == (0, "ranks-disagree", "layers.0.weight")
    assert event.data == {"steps": 3}


def test_an_event_on_all_ranks_is_told_once(tmp_path):
    both, one = Event(1, "tap-off", "module", {"message": "no"}), Event(0, "stopped")
    write_rank(tmp_path / "a", 0, events=[both])
    write_rank(tmp_path / "a", 1, events=[one, both])
    events = MergedRecording(tmp_path / "a").events
    assert [(e.code, e.data["ranks"]) for e in events] == [("stopped", [1]), ("tap-off", [0, 1])]


def test_a_rank_keeps_float64(tmp_path):
    write_rank(tmp_path / "a", 0, norm=0.1)
    with StoredRecording(tmp_path / "a" / "rank0.gs") as rank:  # in chunks
        assert rank.exact(rank.sites[0], "grad_norm").tolist() == [0.1] * 3
        assert rank.values(rank.sites[0], "grad_norm").tolist() == [float(np.float32(0.1))] * 3
    write_rank(tmp_path / "b", 0, norm=0.1, finish="")  # in frames
    with StoredRecording(tmp_path / "b" / "rank0.gs") as rank:
        assert rank.exact(rank.sites[0], "grad_norm").tolist() == [0.1] * 3


def test_a_folder_without_a_readable_rank_is_refused(tmp_path):
    with pytest.raises(RunFileError, match="no file of a rank"):
        MergedRecording(tmp_path)
