"""A part of a run must say what the whole says, step by step or in blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gainstage.records import RunInfo, Series, Site
from gainstage.store import Excerpt, MergedRecording, StoredRecording, Writer, matching

STEPS = 300
QUANTITIES = ["rms", "dead_units"]


def write(path, rank=None):
    """A site whose rms is the step, with dead units at step 150; the loss is 1000 - step."""
    info = RunInfo("a", 0.0, rank=rank, world=1 if rank is None else 2)
    sites = [Site(0, "run", "run", "run", "", 0), Site(1, "a.b", "output", "a.b", "", 0)]
    with Writer(path, info, compact_every=32) as writer:
        writer.add(sites, [Series(0, 0, "loss"), Series(1, 1, "rms"), Series(2, 1, "dead_units")])
        for step in range(STEPS):
            values = np.array([1000 - step, step, step == 150], dtype=np.float32)
            writer.write_frame(step * 2, values, t=step)
        writer.finish(info)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return StoredRecording(write(tmp_path_factory.mktemp("runs") / "a.gs"))


@given(start=st.integers(0, 700), length=st.integers(0, 700))
def test_any_part_is_the_slice_of_the_whole(whole, start, length):
    part = Excerpt(whole, start, start + length)
    inside = (whole.steps >= start) & (whole.steps <= start + length)
    assert not part.coarse
    assert part.steps.tolist() == whole.steps[inside].tolist()
    assert part.ends.tolist() == part.steps.tolist()
    for quantity in QUANTITIES:
        expected = whole.values(whole.sites[1], quantity)[inside]
        assert part.values(part.sites[1], quantity).tolist() == expected.tolist()


@pytest.fixture
def few(monkeypatch):
    """Even short runs are too long to be read step by step."""
    monkeypatch.setattr("gainstage.store.excerpt.FEWEST", 40)


@pytest.mark.usefixtures("few")
def test_a_long_part_is_told_in_blocks(whole):
    part = Excerpt(whole, cells=1)
    site = part.sites[1]
    assert part.coarse
    assert part.steps.tolist() == [64 * i for i in range(10)]  # the last one is the open tail
    assert part.ends.tolist() == [*(64 * i + 62 for i in range(9)), 598]
    means = part.values(site, "rms")
    assert means[:2].tolist() == [15.5, 47.5]
    assert part.values(site, "dead_units").tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]  # the largest
    assert np.isnan(part.values(site, "l2")).all()
    assert part.run_values("loss")[0] == 984.5


@pytest.mark.usefixtures("few")
def test_blocks_that_the_range_touches_are_whole(whole):
    part = Excerpt(whole, 70, 200, cells=1)
    assert part.steps.tolist() == [64, 128, 192]
    assert part.values(part.sites[1], "rms").tolist() == [47.5, 79.5, 111.5]


@pytest.mark.usefixtures("few")
def test_ranks_are_told_in_blocks_too(tmp_path, monkeypatch):
    monkeypatch.setattr("gainstage.store.excerpt.BLOCK", 100)
    (tmp_path / "run").mkdir()
    for rank in range(2):
        write(tmp_path / "run" / f"rank{rank}.gs", rank)
    whole = MergedRecording(tmp_path / "run")
    part = Excerpt(whole, cells=1)
    site = next(s for s in part.sites if s.kind == "output")
    assert part.coarse
    assert part.steps.tolist() == [0, 200, 400]
    assert part.ends.tolist() == [198, 398, 598]
    dead = whole.values(site, "dead_units")
    assert part.values(site, "dead_units").tolist() == [
        dead[i : i + 100].max() for i in (0, 100, 200)
    ]
    exact = Excerpt(whole, 10, 20)
    assert exact.steps.tolist() == [10, 12, 14, 16, 18, 20]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["run", "a.b"]),
        ("A", ["run", "a.b"]),
        ("?.b", ["run", "a.b"]),
        ("b*", ["run"]),
        ("[", ["run"]),
        (None, ["run"]),
    ],
)
def test_sites_are_found_by_a_part_of_their_name_or_a_pattern(whole, pattern, names):
    assert [site.name for site in Excerpt(whole, match=pattern).sites] == names


def test_a_hostile_pattern_takes_no_time():
    assert not matching("*a" * 90 + "b")("a" * 20_000)


def test_an_empty_run_has_no_parts(tmp_path):
    info = RunInfo("a", 0.0)
    with Writer(tmp_path / "a.gs", info) as writer:
        writer.add([Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss")])
        writer.finish(info)
    part = Excerpt(StoredRecording(tmp_path / "a.gs"), 5, 9)
    assert len(part.steps) == len(part.run_values("loss")) == 0
