"""Event files of other writers, older and newer, whole and damaged."""

from __future__ import annotations

import numpy as np
import pytest

from gainstage.errors import DataError
from gainstage.foreign.events import read_events, runs_under


def test_scalars_and_histograms_of_torchs_own_writer(training, tmp_path):
    found = read_events(tmp_path / "logs")
    assert found.scalars["train/loss"] == {
        step: float(np.float32(2.0 - step / 100)) for step in range(0, 100, 10)
    }
    assert list(found.times) == list(range(0, 100, 10))
    assert found.others == {"notes/text_summary"}
    for (tag, step), values in training.items():
        shape = found.shapes[tag][step]
        exact = values.double()
        assert shape.rms == pytest.approx(exact.square().mean().sqrt().item(), rel=1e-6)
        assert shape.mean == pytest.approx(exact.mean().item(), rel=1e-5, abs=1e-9)
        assert shape.counts.sum() == 64
        assert (shape.edges[0], shape.edges[-1]) == (exact.min().item(), exact.max().item())
        assert (np.diff(shape.edges) >= 0).all()


def test_the_newer_form_is_read_as_well(writer, tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.histogram.metadata import create_summary_metadata
    from tensorboard.plugins.scalar import metadata
    from tensorboard.util import tensor_util

    triples = np.array([[-1.0, 0.0, 2.0], [0.0, 1.0, 6.0]])
    for step in range(2):  # the metadata come with the first value alone
        histogram = Summary.Value(tag="fc/kernel", tensor=tensor_util.make_tensor_proto(triples))
        scalar = Summary.Value(
            tag="epoch_loss", tensor=tensor_util.make_tensor_proto(np.float32(0.5))
        )
        if step == 0:
            histogram.metadata.CopyFrom(create_summary_metadata("", ""))
            scalar.metadata.CopyFrom(metadata.create_summary_metadata("", ""))
        event = Event(step=step, wall_time=1.0 + step, summary=Summary(value=[histogram, scalar]))
        writer._get_file_writer().event_writer.add_event(event)
    writer.flush()
    found = read_events(tmp_path / "logs")
    assert found.scalars == {"epoch_loss": {0: 0.5, 1: 0.5}}
    shape = found.shapes["fc/kernel"][1]
    assert shape.edges.tolist() == [-1.0, 0.0, 1.0]
    assert shape.counts.tolist() == [2.0, 6.0]
    assert shape.mean == pytest.approx(0.25)
    assert shape.rms == pytest.approx(np.sqrt(1 / 3))  # as if elements lay evenly in a bucket


def test_of_two_values_for_a_step_the_later_counts(writer, tmp_path):
    for value in (1.0, 2.0):
        writer.add_scalar("loss", value, 3)
    writer.flush()
    assert read_events(tmp_path / "logs").scalars["loss"] == {3: 2.0}


@pytest.mark.usefixtures("training")
def test_a_file_that_was_cut_off_is_read_up_to_there(tmp_path):
    (path,) = (tmp_path / "logs").glob("*tfevents*")
    whole = read_events(tmp_path / "logs")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = read_events(tmp_path / "logs")
    assert 0 < len(part.scalars["train/loss"]) < len(whole.scalars["train/loss"])


def test_each_folder_of_event_files_is_a_run(tmp_path):
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "events.out.tfevents.1.host").touch()
    assert runs_under(tmp_path) == [tmp_path / "a", tmp_path / "b/c"]


def test_what_holds_no_event_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"There are no event files .* in '"):
        runs_under(tmp_path)
    with pytest.raises(DataError, match=r"There is no '.*missing'"):
        runs_under(tmp_path / "missing")


def test_damaged_bytes_are_an_error_that_names_the_file(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.summary.writer.record_writer import RecordWriter

    with (tmp_path / "events.out.tfevents.1.host").open("wb") as file:
        RecordWriter(file).write(b"\xff" * 40)
    with pytest.raises(DataError, match=r"The event file '.*tfevents.*' cannot be read"):
        read_events(tmp_path)
