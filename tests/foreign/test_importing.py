"""An old TensorBoard run as a run file: its numbers, its pictures, and no false findings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gainstage as gs
from gainstage.errors import DataError, UsageError
from gainstage.foreign import import_runs
from gainstage.foreign.events import Shape
from gainstage.foreign.importing import as_histogram
from gainstage.sinks.tracker import buckets
from gainstage.sketch import Histogram
from gainstage.views.loss import loss_chart
from gainstage.views.parameters import parameter_table

ELEMENTS = st.lists(
    st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50
)


@given(ELEMENTS)
def test_what_a_sink_of_ours_has_written_comes_back_as_it_was(values):
    whole = Histogram.of(np.array(values, dtype=np.float32))
    edges, counts = buckets(whole)
    again = as_histogram(Shape(edges, counts.astype(float), 0.0, 0.0))
    low, _, mine = whole.ordered()
    zero = np.searchsorted(low, 0.0)  # the bins on both sides of zero are one bucket of no width
    found = again.ordered()[2]
    assert found[zero - 1 : zero + 1].sum() == mine[zero - 1 : zero + 1].sum()
    assert np.delete(found, [zero - 1, zero]).tolist() == np.delete(mine, [zero - 1, zero]).tolist()


@given(ELEMENTS, st.integers(1, 30))
def test_no_element_of_a_strangers_histogram_is_lost(values, bins):
    counts, edges = np.histogram(np.array(values), bins, range=(-1e30, 1e30))
    again = as_histogram(Shape(edges, counts.astype(float), 0.0, 0.0))
    assert again.total == counts.sum()


def test_elements_are_spread_evenly_over_a_bucket():
    shape = Shape(np.array([0.0, 1.0]), np.array([1000.0]), 0.5, 0.6)
    assert as_histogram(shape).quantile([0.25, 0.5, 0.75]) == pytest.approx(
        [0.25, 0.5, 0.75], rel=1 / 8
    )


def test_a_bucket_of_no_width_is_a_single_number():
    shape = Shape(np.array([2.0, 2.0]), np.array([7.0]), 2.0, 2.0)
    assert as_histogram(shape).counts.tolist() == (
        Histogram.of(np.full(7, 2.0, dtype=np.float32)).counts.tolist()
    )


def test_a_run_of_torchs_own_writer(training, tmp_path):
    (made,) = import_runs(tmp_path / "logs", dir=tmp_path / "runs")
    assert made.views == ("loss", "levels", "histograms")
    assert made.loss == "train/loss"
    assert made.left_out == ("notes/text_summary", "val/loss")
    assert made.steps == 10
    run = gs.open(made.path)
    assert run.info.status == "finished"
    assert run.recording.steps.tolist() == list(range(0, 100, 10))
    assert run.recording.run_values("lr").tolist() == [np.float32(0.1)] * 10
    site = run.recording.site("layers.1.weight", "grad")
    assert (site.layer, site.order) == ("layers.1", 1)
    for index, step in enumerate(range(0, 100, 10)):
        rms = training["layers.1.weight/grad", step].double().square().mean().sqrt().item()
        assert run.recording.values(site, "rms")[index] == pytest.approx(rms, rel=1e-6)
    values = training["layers.1.weight/grad", 0].numpy()
    shape = run.recording.histogram(site, 0, 1)
    assert shape.total == 64
    median = np.quantile(values, 0.5, method="inverted_cdf")
    assert shape.quantile(0.5) == pytest.approx(median, abs=2e-4)


@pytest.mark.usefixtures("training")
def test_its_views_are_drawn_and_nothing_false_is_found(tmp_path):
    (made,) = import_runs(tmp_path / "logs", dir=tmp_path / "runs")
    run = gs.open(made.path)
    assert loss_chart(run.recording).first == pytest.approx(2.0)
    rows = {row.name: row for row in parameter_table(run.recording).rows}
    assert rows["layers.0.weight"].weight == pytest.approx(20 * np.log10(0.5), abs=2)
    assert rows["layers.0.weight"].grad == pytest.approx(-60, abs=2)
    assert [finding for finding in run.diagnose() if finding.severity == "error"] == []
    assert run.report(tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.usefixtures("training")
def test_there_and_back_is_the_same_run(tmp_path):
    (made,) = import_runs(tmp_path / "logs", dir=tmp_path / "runs")
    run = gs.open(made.path)
    run.send(gs.sinks.choose(gs.sinks.TensorBoard(tmp_path / "again"), "*"))
    (back,) = import_runs(tmp_path / "again", dir=tmp_path / "runs")
    again = gs.open(back.path)
    assert again.frame().sort_index(axis=1).equals(run.frame().sort_index(axis=1))
    for site in run.recording.sites:
        other = again.recording.site(site.name, site.kind)
        assert again.recording.histogram(other).total == run.recording.histogram(site).total


def test_the_loss_can_be_named(writer, tmp_path):
    writer.add_scalar("objective", 1.5, 0)
    writer.add_scalar("train/loss", 9.0, 0)
    writer.flush()
    (made,) = import_runs(tmp_path / "logs", dir=tmp_path / "runs", loss="objective")
    assert gs.open(made.path).recording.run_values("loss").tolist() == [1.5]
    assert made.left_out == ("train/loss",)
    with pytest.raises(UsageError, match=r"No run has a scalar 'nothing'. There are: objective, "):
        import_runs(tmp_path / "logs", dir=tmp_path / "runs", loss="nothing")


def test_event_files_without_anything_of_use_are_an_error(writer, tmp_path):
    writer.add_scalar("accuracy", 0.5, 0)
    writer.flush()
    with pytest.raises(DataError, match=r"hold neither a loss, .* --loss TAG"):
        import_runs(tmp_path / "logs", dir=tmp_path / "runs")
