"""What else watches a training's tensors at every step, set up as its own manual says."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gainstage.bench.race import Contestant, Step
from gainstage.bench.workloads import Batch, Training
from gainstage.errors import MissingExtraError


def peers() -> dict[str, Contestant]:
    """The peers, by name.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when it is imported
    for module in ("wandb", "torch.utils.tensorboard", "threadpoolctl"):
        _peer(module)
    return {"wandb": _wandb, "TensorBoard": _tensorboard}


@contextmanager
def _wandb(training: Training, folder: Path) -> Iterator[Step]:
    """Offline: histograms of all weights and gradients, and the loss."""
    wandb = _peer("wandb")
    homes = {f"WANDB_{kind}_DIR": str(folder) for kind in ("CACHE", "CONFIG", "DATA")}
    with patch.dict(os.environ, {**homes, "WANDB_MODE": "offline"}):
        settings = wandb.Settings(console="off", silent=True)
        try:
            with wandb.init(dir=str(folder), settings=settings) as run:
                run.watch(training.model, log="all", log_freq=1)
                yield lambda batch: run.log({"loss": training.step(batch)})
        finally:
            wandb.teardown()  # its service writes into the folder until then


@contextmanager
def _tensorboard(training: Training, folder: Path) -> Iterator[Step]:
    """Histograms of all weights and gradients, and the loss."""
    count = itertools.count()

    def step(batch: Batch) -> None:
        loss, at = training.step(batch), next(count)
        writer.add_scalar("loss", loss, at)
        for name, parameter in training.model.named_parameters():
            writer.add_histogram(f"weights/{name}", parameter, at)
            writer.add_histogram(f"gradients/{name}", parameter.grad, at)
        writer.flush()  # the work of its writing thread belongs to its turn

    with (
        # numpy, by which it sums, has threads of its own that spin on into everybody's turns
        _peer("threadpoolctl").threadpool_limits(1, user_api="blas"),
        _peer("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard")) as writer,
    ):
        yield step


def _peer(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = "The peers are wandb and TensorBoard: run `pip install 'gainstage[bench]'`."
        raise MissingExtraError(msg) from error
