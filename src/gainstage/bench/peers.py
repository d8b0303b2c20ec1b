"""What else watches a training's tensors at every step, set up as its own manual says."""

from __future__ import annotations

import importlib
import itertools
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import torch

from gainstage.bench.race import Contestant, Step
from gainstage.bench.workloads import Batch, Training
from gainstage.errors import MissingExtraError

ONLY: Final = {"cockpit": ("MLP",)}
"""Peers that cannot watch every workload: BackPACK, under cockpit, knows neither the training
mode of a BatchNorm nor attention."""


def peers() -> dict[str, Contestant]:
    """The peers, by name.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when it is imported
    for module in ("wandb", "torch.utils.tensorboard", "threadpoolctl", "cockpit"):
        _peer(module)
    return {"wandb": _wandb, "TensorBoard": _tensorboard, "cockpit": _cockpit}


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


@contextmanager
def _cockpit(training: Training, folder: Path) -> Iterator[Step]:
    """Its "economy" of instruments at every step; it keeps its numbers in memory."""
    del folder
    cockpit, backpack = _peer("cockpit"), _peer("backpack")
    quantities = _peer("cockpit.utils.configuration").configuration("economy")
    optimizer, model = training.optimizer, backpack.extend(training.model)
    mean_loss = backpack.extend(torch.nn.CrossEntropyLoss())
    each_loss = torch.nn.CrossEntropyLoss(reduction="none")
    instruments = cockpit.Cockpit(model.parameters(), quantities=quantities)
    count = itertools.count()

    def step(batch: Batch) -> None:
        (inputs, targets), at = batch, next(count)
        optimizer.zero_grad()
        scores = model(inputs)
        loss = mean_loss(scores, targets)
        told = {
            "batch_size": len(targets),
            "individual_losses": each_loss(scores, targets),
            "loss": loss,
            "optimizer": optimizer,
        }
        with warnings.catch_warnings(), instruments(at, info=told):
            warnings.simplefilter("ignore")  # its own, of torch's older hooks
            loss.backward(create_graph=instruments.create_graph(at))
        optimizer.step()

    yield step


def _peer(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = "The peers are wandb, TensorBoard and cockpit: run `pip install 'gainstage[bench]'`."
        raise MissingExtraError(msg) from error
