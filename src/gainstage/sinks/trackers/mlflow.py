"""MLflow: metrics of the active run, or of one of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from gainstage.sinks.reading import Reading
from gainstage.sinks.tracker import TRACKERS, load

PREFIX: Final = "gainstage/"
"""Stands before every name, for the run may be the user's own."""

QUANTILES: Final = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
"""What stands for a histogram, which MLflow does not have."""

AT_ONCE: Final = 1000
"""Metrics that MLflow takes at a time."""

_REFUSED: Final = re.compile(r"[^\w\-. :/]")


@TRACKERS.register("mlflow")
class MLflow:
    """Logs scalars and findings as metrics and tags of an MLflow run.

    If the program has an active run, that is it, and it stays active. Otherwise one is made, in
    the experiment ``gainstage``, and ended with the watch.

    All names begin with ``gainstage/``; a character that MLflow refuses becomes ``_``. Of a
    histogram its 5 %, 50 % and 95 % quantiles are logged (``.../p05``). A finding is a tag
    ``gainstage/finding/CODE`` with its message.

    Args:
        place: for a run of its own, the store: a folder or a URI (``sqlite:///mlflow.db``); by
            default MLflow's own choice. From version 3.13 on MLflow refuses folders unless the
            environment has ``MLFLOW_ALLOW_FILE_STORE=true``.

    Raises:
        MissingExtraError: mlflow is not installed.
    """

    def __init__(self, place: str | os.PathLike[str] | None = None) -> None:
        self._mlflow: Any = load("mlflow", "MLflow", "pip install 'gainstage[mlflow]'")
        self._entities: Any = load("mlflow.entities", "MLflow", "pip install 'gainstage[mlflow]'")
        self._uri = None if place is None else _uri(os.fspath(place))
        self._client: Any = None
        self._run = ""
        self._own = False

    def __call__(self, reading: Reading, /) -> None:
        """Log what was measured at one step."""
        if self._client is None:
            self._open(reading)
        numbers = dict(reading.scalars)
        for name, histogram in reading.histograms.items():
            if histogram.total:
                values = histogram.quantile(list(QUANTILES.values())).tolist()
                numbers |= {f"{name}/{key}": x for key, x in zip(QUANTILES, values, strict=True)}
        when = int(reading.time * 1000)
        metrics = [
            self._entities.Metric(_allowed(PREFIX + name), x, when, reading.step)
            for name, x in numbers.items()
        ]
        for first in range(0, len(metrics), AT_ONCE):
            part = metrics[first : first + AT_ONCE]
            self._client.log_batch(self._run, metrics=part, synchronous=True)
        for finding in reading.findings or ():
            self._client.set_tag(self._run, f"{PREFIX}finding/{finding.code}", finding.message)
        if reading.last:
            if self._own:
                self._client.set_terminated(self._run)
            self._client = None

    def _open(self, reading: Reading) -> None:
        active = self._mlflow.active_run()
        self._own = active is None
        if active is not None:
            self._client = self._mlflow.MlflowClient()
            self._run = active.info.run_id
            return
        self._client = self._mlflow.MlflowClient(tracking_uri=self._uri)
        known = self._client.get_experiment_by_name("gainstage")
        experiment = (
            self._client.create_experiment("gainstage") if known is None else known.experiment_id
        )
        self._run = self._client.create_run(experiment, run_name=reading.run.id).info.run_id


def _uri(place: str) -> str:
    return place if "://" in place else Path(place).absolute().as_uri()


def _allowed(name: str) -> str:
    return _REFUSED.sub("_", name)
