"""The price of a sink: what handing on takes, beside what measuring takes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import torch

from gainstage import sinks
from gainstage.bench.bench import BENCHES, Line, Outcome, Settings
from gainstage.bench.workloads import WORKLOADS, Training
from gainstage.errors import MissingExtraError
from gainstage.probe.watch import watch
from gainstage.run import Run
from gainstage.sinks import Reading, Sink

STEPS: Final = 400
WORKLOAD: Final = "MLP"

_QUIET: Final = {"WANDB_SILENT": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}


def _ignore(reading: Reading) -> None:
    """A sink that does nothing: what it costs is to make the readings."""
    del reading


MAKERS: Final[dict[str, Callable[[Path], Sink]]] = {
    "a function": lambda _: _ignore,
    "TensorBoard": lambda folder: sinks.TensorBoard(folder / "tensorboard"),
    "W&B, offline": lambda folder: sinks.WandB(folder / "wandb"),
    "MLflow, files": lambda folder: sinks.MLflow(folder / "mlflow"),
}


@BENCHES.register("sinks")
def price(settings: Settings) -> Outcome:
    """Milliseconds a step that each sink takes, given every step or every tenth.

    The training is the MLP of the benchmark ``overhead``, on one thread: five layers, all that a
    sink gets by default: 87 numbers a step, 51 histograms at each 16th. The ratio is one and the
    sink's share of the rest of the training, as the report shows it. A sink whose package is
    missing is left out.
    """
    del settings  # there is nothing to choose
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lines: list[Line] = []
    try:
        with TemporaryDirectory(prefix="gainstage-") as folder, _quiet():
            for name, make in MAKERS.items():
                for every in (1, 10):
                    place = Path(folder) / f"{len(lines)}"
                    try:
                        seconds, rest = _trained(place, sinks.choose(make(place), every=every))
                    except MissingExtraError:
                        continue
                    told = name if every == 1 else f"{name}, every 10th step"
                    lines.append(Line(told, 1e3 * seconds / STEPS, "ms/step", 1 + seconds / rest))
    finally:
        torch.set_num_threads(threads)
    return Outcome(lines)


def _trained(folder: Path, sink: Sink) -> tuple[float, float]:
    """Seconds in the sink, and of the training without the watch."""
    training = Training(WORKLOADS[WORKLOAD])
    batch = WORKLOADS[WORKLOAD].batch(torch.Generator().manual_seed(0))
    with watch(training.model, training.optimizer, dir=folder, sinks=[sink]) as run:
        for _ in range(STEPS):
            training.step(batch)
    info = Run(run.path).info
    return sum(info.facts["sinks"].values()), info.seconds - info.probe_seconds


@contextmanager
def _quiet() -> Iterator[None]:
    """Trackers tell what they do; here that is nobody's concern."""
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update(_QUIET)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
