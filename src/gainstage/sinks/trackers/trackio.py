"""Trackio: into its local database, in the run that is open or in one of its own."""

from __future__ import annotations

from typing import Any, Final

from gainstage.sinks.reading import Reading
from gainstage.sinks.tracker import TRACKERS, buckets, load

PREFIX: Final = "gainstage/"
"""Stands before every name, for the run may be the user's own."""

MOST_BUCKETS: Final = 512


@TRACKERS.register("trackio")
class Trackio:
    """Logs scalars, histograms and findings into a trackio run.

    If the program has a run open (``trackio.init``), that is it, and it stays open: to make another
    one would end it. Otherwise one is made and ended with the watch. All names begin with
    ``gainstage/``. A finding is a text, ``gainstage/finding/CODE``.

    Args:
        project: of a run of its own.

    Raises:
        MissingExtraError: trackio is not installed.
    """

    def __init__(self, project: str = "gainstage") -> None:
        self._trackio: Any = load("trackio", "trackio", "pip install 'gainstage[trackio]'")
        self._current: Any = load(
            "trackio.context_vars", "trackio", "pip install 'gainstage[trackio]'"
        ).current_run
        self._project = project
        self._run: Any = None
        self._own = False

    def __call__(self, reading: Reading, /) -> None:
        """Log what was measured at one step."""
        if self._run is None:
            self._run = self._current.get()
            self._own = self._run is None
            if self._own:
                self._run = self._open(reading)
        data: dict[str, Any] = {PREFIX + name: x for name, x in reading.scalars.items()}
        for name, histogram in reading.histograms.items():
            edges, counts = buckets(histogram, MOST_BUCKETS)
            if len(counts):
                data[PREFIX + name] = self._trackio.Histogram(np_histogram=(counts, edges))
        for finding in reading.findings or ():
            data[f"{PREFIX}finding/{finding.code}"] = finding.message
        if data:
            self._run.log(data, step=reading.step)
        if reading.last:
            if self._own:
                self._run.finish()
                self._current.set(None)
            self._run = None

    def _open(self, reading: Reading) -> Any:
        quiet = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
        return self._trackio.init(project=self._project, name=reading.run.id, **quiet)
