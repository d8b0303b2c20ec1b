"""Weights & Biases: a run of its own, offline unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from gainstage.sinks.reading import Reading
from gainstage.sinks.tracker import TRACKERS, buckets, load

MOST_BUCKETS: Final = 512
"""W&B refuses a histogram of more."""


@TRACKERS.register("wandb")
class WandB:
    """Logs scalars, histograms and findings as a W&B run.

    The run is one of its own, named by the watch's, also where the program has one open: W&B
    drops what is logged for a step before the newest one, so writing into the program's run would
    cost it numbers of its own. It is then of the same project. It is offline, so that nothing
    leaves the machine, unless `options` say ``mode="online"``; ``wandb sync`` sends it later.
    Findings are the table ``findings``.

    Args:
        folder: where the run is kept.
        **options: further arguments of ``wandb.init``.

    Raises:
        MissingExtraError: wandb is not installed.

    Example:
        >>> import gainstage as gs
        >>> sink = gs.sinks.WandB("logs", group="wide")  # doctest: +SKIP
        >>> with gs.watch(model, optimizer, sinks=[sink]): ...  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str] = ".", **options: Any) -> None:
        self._wandb: Any = load("wandb", "W&B", "pip install 'gainstage[wandb]'")
        self._options = {"dir": os.fspath(folder), "mode": "offline", **options}
        self._run: Any = None

    def __call__(self, reading: Reading, /) -> None:
        """Log what was measured at one step."""
        if self._run is None:
            self._run = self._open(reading)
        data: dict[str, Any] = dict(reading.scalars)
        for name, histogram in reading.histograms.items():
            edges, counts = buckets(histogram, MOST_BUCKETS)
            if len(counts):
                data[name] = self._wandb.Histogram(np_histogram=(counts, edges))
        if reading.findings is not None:
            columns = ["severity", "code", "site", "since_step", "message"]
            rows = [[getattr(f, column) for column in columns] for f in reading.findings]
            data["findings"] = self._wandb.Table(columns=columns, data=rows)
        if data:
            self._run.log(data, step=reading.step)
        if reading.last:
            self._run.finish()
            self._run = None

    def _open(self, reading: Reading) -> Any:
        theirs = self._wandb.run
        options = {
            "project": "gainstage" if theirs is None else theirs.project,
            "name": reading.run.id,
            "reinit": "create_new",
            **self._options,
        }
        Path(options["dir"]).mkdir(parents=True, exist_ok=True)
        return self._wandb.init(**options)
