"""What MLflow's own client finds in its store is what was measured."""

from __future__ import annotations

import math

import pytest

import gainstage as gs
from gainstage.sinks.trackers.mlflow import PREFIX, QUANTILES

mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture
def both(trained, catch, tmp_path):
    """The client of a store, the run in it, and what a function was given."""
    caught = catch()
    run = trained(tmp_path / "runs", [gs.sinks.MLflow(tmp_path / "ml"), caught], faint=True)
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "ml").as_uri())
    experiment = client.get_experiment_by_name("gainstage")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == run.path.stem
    assert found.info.status == "FINISHED"
    return client, found, caught


def test_every_scalar_is_ours(both):
    client, run, caught = both
    for name in caught.names:
        found = {m.step: m.value for m in client.get_metric_history(run.info.run_id, PREFIX + name)}
        ours = caught.series(name)
        assert list(found) == list(ours)
        for step, value in ours.items():
            assert found[step] == value or (math.isinf(value) and abs(found[step]) > 1e300), name


def test_a_histogram_is_its_quantiles(both):
    client, run, caught = both
    for name in ("histogram/output/0", "histogram/weight/0.weight"):
        ours = caught.shapes(name)
        for key, q in QUANTILES.items():
            found = client.get_metric_history(run.info.run_id, f"{PREFIX}{name}/{key}")
            assert {m.step: m.value for m in found} == {
                step: float(shape.quantile(q)) for step, shape in ours.items()
            }


def test_findings_are_tags(both):
    client, run, caught = both
    assert caught[-2].findings
    for finding in caught[-2].findings:
        assert client.get_run(run.info.run_id).data.tags[f"{PREFIX}finding/{finding.code}"] == (
            finding.message
        )


def test_the_programs_own_run_is_used_and_stays_active(trained, tmp_path):
    mlflow.set_tracking_uri((tmp_path / "ml").as_uri())
    with mlflow.start_run() as theirs:
        trained(tmp_path / "runs", [gs.sinks.MLflow()], steps=3)
        assert mlflow.active_run().info.run_id == theirs.info.run_id
        history = mlflow.MlflowClient().get_metric_history(theirs.info.run_id, f"{PREFIX}run/loss")
        assert [metric.step for metric in history] == [0, 1, 2]
