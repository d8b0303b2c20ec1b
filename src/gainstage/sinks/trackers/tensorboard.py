"""TensorBoard: event files, written by its own writer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from gainstage.records import Finding
from gainstage.sinks.reading import Reading
from gainstage.sinks.tracker import TRACKERS, buckets, load
from gainstage.sketch import Histogram

_PROTOCOL = "tensorboard.compat.proto"


@TRACKERS.register("tensorboard")
class TensorBoard:
    """Writes scalars, histograms and findings for TensorBoard.

    Each run has a folder of its own under `folder`, named by the run's id. A histogram has the
    bins of the run file; its sum and its sum of squares, which TensorBoard keeps beside them, are
    those of the bins' middles. Findings are a text, ``findings``.

    Args:
        folder: what is given to ``tensorboard --logdir``; made if missing.

    Raises:
        MissingExtraError: tensorboard is not installed.

    Example:
        >>> import gainstage as gs
        >>> sink = gs.sinks.TensorBoard("logs")  # doctest: +SKIP
        >>> with gs.watch(model, optimizer, sinks=[sink]): ...  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str] = "tensorboard") -> None:
        self.folder = Path(folder)
        self._load("tensorboard.summary.writer.event_file_writer")
        self._event: Any = self._load(f"{_PROTOCOL}.event_pb2").Event
        self._summary: Any = self._load(f"{_PROTOCOL}.summary_pb2")
        self._writer: Any = None

    def __call__(self, reading: Reading, /) -> None:
        """Write what was measured at one step."""
        value = self._summary.Summary.Value
        values = [value(tag=name, simple_value=x) for name, x in reading.scalars.items()]
        values += [value(tag=name, histo=self._histo(h)) for name, h in reading.histograms.items()]
        if reading.findings is not None:
            values.append(self._text("findings", told(reading.findings)))
        if values:
            self._write(reading, self._summary.Summary(value=values))
        if reading.last and self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, reading: Reading, summary: Any) -> None:
        if self._writer is None:
            module = self._load("tensorboard.summary.writer.event_file_writer")
            folder = self.folder / reading.run.id
            self._writer = module.EventFileWriter(str(folder), max_queue_size=100, flush_secs=10)
        self._writer.add_event(
            self._event(step=reading.step, wall_time=reading.time, summary=summary)
        )

    def _histo(self, histogram: Histogram) -> Any:
        edges, counts = buckets(histogram)
        if not len(counts):
            return self._summary.HistogramProto()
        middles = (edges[:-1] + edges[1:]) / 2
        middles[(edges[:-1] < 0) & (edges[1:] > 0)] = 0.0
        return self._summary.HistogramProto(
            min=edges[0],
            max=edges[-1],
            num=counts.sum(),
            sum=float(middles @ counts),
            sum_squares=float(np.square(middles) @ counts),
            # a bucket reaches down to the limit before it, the first one to no number
            bucket_limit=edges.tolist(),
            bucket=[0, *counts.tolist()],
        )

    def _text(self, tag: str, text: str) -> Any:
        tensor = self._load(f"{_PROTOCOL}.tensor_pb2").TensorProto
        kinds = self._load(f"{_PROTOCOL}.types_pb2")
        metadata = self._summary.SummaryMetadata(
            plugin_data=self._summary.SummaryMetadata.PluginData(plugin_name="text"),
            data_class=self._summary.DATA_CLASS_TENSOR,
        )
        value = tensor(dtype=kinds.DT_STRING, string_val=[text.encode()])
        value.tensor_shape.dim.add(size=1)
        return self._summary.Summary.Value(tag=tag, tensor=value, metadata=metadata)

    @staticmethod
    def _load(module: str) -> Any:
        return load(module, "TensorBoard", "pip install 'gainstage[tensorboard]'")


def told(findings: tuple[Finding, ...]) -> str:
    """Findings as a list in Markdown."""
    lines = [f"- **{f.severity} {f.code}** at `{f.site}`: {f.message}" for f in findings]
    return "\n".join(lines) or "Nothing was found that hurts this training."
