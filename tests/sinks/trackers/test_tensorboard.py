"""What TensorBoard's own reader finds in the files is what was measured."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gainstage as gs
from gainstage.records import RunInfo
from gainstage.sinks import Reading
from gainstage.sinks.tracker import buckets

pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")


def read(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
        found.Reload()
    return found


@pytest.fixture
def both(trained, catch, tmp_path):
    """What TensorBoard has of a run, and what a function was given."""
    caught = catch()
    run = trained(tmp_path / "runs", [gs.sinks.TensorBoard(tmp_path / "logs"), caught], faint=True)
    return read(tmp_path / "logs" / run.path.stem), caught


def test_every_scalar_is_ours(both):
    found, caught = both
    assert set(found.Tags()["scalars"]) == caught.names
    for name in caught.names:
        events = {event.step: event.value for event in found.Scalars(name)}
        ours = {step: float(np.float32(x)) for step, x in caught.series(name).items()}
        assert events == ours, name


def test_every_histogram_is_ours(both):
    found, caught = both
    names = {name for reading in caught for name in reading.histograms}
    assert set(found.Tags()["histograms"]) == names
    for name in names:
        ours = caught.shapes(name)
        assert [event.step for event in found.Histograms(name)] == list(ours)
        for event in found.Histograms(name):
            edges, counts = buckets(ours[event.step])
            value = event.histogram_value
            assert value.bucket_limit == edges.tolist()
            assert value.bucket == [0, *counts.tolist()]
            assert (value.num, value.min, value.max) == (counts.sum(), edges[0], edges[-1])


def test_moments_beside_a_histogram_are_those_of_its_bins(both):
    found, caught = both
    event = found.Histograms("histogram/output/2")[3]
    rms = caught.series("level/output/2")[3]
    value = event.histogram_value
    assert 20 * np.log10(np.sqrt(value.sum_squares / value.num)) == pytest.approx(rms, abs=0.5)


def test_findings_are_a_text(both):
    found, caught = both
    told = caught[-2].findings
    (text,) = [event.tensor_proto.string_val[0].decode() for event in found.Tensors("findings")]
    assert told
    for finding in told:
        assert f"**{finding.severity} {finding.code}** at `{finding.site}`" in text


def test_times_are_those_of_the_steps(both):
    found, caught = both
    events = found.Scalars("run/loss")
    assert [event.wall_time for event in events] == [
        reading.time for reading in caught if "run/loss" in reading.scalars
    ]


def test_tensorboards_own_page_gets_the_histograms(both, tmp_path):
    """The reader behind the page converts them to its own form, which must not fail or lose any."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    _, caught = both
    (folder,) = (tmp_path / "logs").iterdir()
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    from tensorboard.util import tensor_util

    name = "histogram/weight/2.bias"
    for event in found.Tensors(name):
        triples = tensor_util.make_ndarray(event.tensor_proto)
        assert triples[:, 2].sum() == caught.shapes(name)[event.step].total


def test_a_stored_run_gives_the_same_file(stored, catch, tmp_path):
    run, _ = stored
    caught = catch()
    run.send(gs.sinks.TensorBoard(tmp_path))
    run.send(caught)
    found = read(tmp_path / run.info.id)
    assert set(found.Tags()["scalars"]) == caught.names
    assert len(found.Scalars("run/loss")) == 20


def test_an_empty_histogram_and_a_healthy_run_are_written(tmp_path):
    from gainstage.sketch import Histogram

    sink = gs.sinks.TensorBoard(tmp_path)
    info = RunInfo("empty", 0.0)
    sink(Reading(info, 0, 1.0, histograms={"histogram/output/0": Histogram.empty()}))
    sink(Reading(info, 0, 1.0, findings=()))
    sink(Reading(info, 0, 1.0, last=True))
    found = read(tmp_path / "empty")
    assert found.Histograms("histogram/output/0")[0].histogram_value.num == 0
    assert b"Nothing was found" in found.Tensors("findings")[0].tensor_proto.string_val[0]


def test_a_sink_can_be_used_for_the_next_run(trained, tmp_path):
    sink = gs.sinks.TensorBoard(tmp_path / "logs")
    runs = [trained(tmp_path / "runs", [sink], steps=3) for _ in range(2)]
    for run in runs:
        assert len(read(tmp_path / "logs" / run.path.stem).Scalars("run/loss")) == 3
