"""Experiment 8: what SGD's parameters do, on a line through noisy quadratic data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gainstage import optim
from gainstage.lab.experiment import Output, experiment
from gainstage.landscape import LossMap, Trajectory, figure_losses, loss_map
from gainstage.landscape.linefit import noisy_parabola

PUBLISHED: Final = (
    53.078270, 34.729504, 22.891207, 15.226043, 10.242653,
    6.9877577, 4.8507557, 3.4395809, 2.5017748, 1.8742430,
)  # fmt: skip
"""Losses before each of the first ten steps."""

LOSSES: Final[dict[str, Callable[[Any, Any], Tensor]]] = {
    "MSE": F.mse_loss,
    "L1": F.l1_loss,
    "Huber": F.huber_loss,
    "SmoothL1": F.smooth_l1_loss,
}

RUNS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "momentum 0.9": {"momentum": 0.9},
    "momentum 0.9, Nesterov": {"momentum": 0.9, "nesterov": True},
    "momentum 0.9, Nesterov, weight decay 2": {
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 2.0,
    },
    "momentum 0.9, dampening 0.8": {"momentum": 0.9, "dampening": 0.8},
}


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        lr: SGD's rate.
        epochs: full-batch steps.
        size: points of the map along each axis.
    """

    lr: float = 0.1
    epochs: int = 100
    size: int = 101


@experiment("line-fit", number=8, options=Options)
def line_fit(options: Options, output: Output) -> None:
    """What SGD's parameters do: a line through noisy quadratic data.

    One neuron has two weights, so its loss is a surface that can be seen whole, and every
    parameter of SGD is a different way across it. Dampening is torch's: the first step is not
    dampened. Huber's loss and SmoothL1 are the same at their defaults, and differ once delta and
    beta do.

    Source:
        PyTorch's tutorials on SGD and losses; torch.nn.SmoothL1Loss for how it relates to Huber's.
    """
    batch = noisy_parabola()
    courses = {name: _train(batch, options, settings) for name, settings in RUNS.items()}
    losses, _ = courses["plain"]
    published = dict(enumerate(PUBLISHED)) | dict.fromkeys((97, 98, 99), 0.4994413)
    for epoch, loss in published.items():
        if epoch < options.epochs:
            label = f"MSE before step {epoch}"
            output.add(label, losses[epoch], loss, 1e-6 * loss, kind="D", quick=True)
    whole = _map(batch, options, LOSSES)
    peaks = dict(zip(whole.names, whole.values.amax((1, 2)).tolist(), strict=True))
    output.add("greatest MSE on the map", peaks["MSE"], 100.0, 0.5, kind="D", quick=True)
    output.add("greatest L1 on the map", peaks["L1"], 8.3, 0.05, kind="D", quick=True)
    _compare_huber(batch, options, output)
    seen = _with_path(whole, courses["plain"][1])
    output.picture("losses", figure_losses(seen))
    output.landscape("losses", seen)
    for name, (_, trajectory) in courses.items():
        mse = _with_path(_map(batch, options, {f"MSE, {name}": F.mse_loss}), trajectory)
        file = name.replace(", ", "-").replace(" ", "-")
        output.picture(file, figure_losses(mse))
        output.landscape(file, mse)


def _train(
    batch: tuple[Tensor, Tensor], options: Options, settings: dict[str, Any]
) -> tuple[list[float], Tensor]:
    """Losses before each step, and the way [step, 2] of (bias, weight)."""
    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(6.0)
        model.bias.fill_(-3.0)
    optimizer = optim.SGD(model.parameters(), lr=options.lr, **settings)
    trajectory, losses = Trajectory(model, optimizer), []
    for _ in range(options.epochs):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[1])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    trajectory.close()
    way = [torch.cat([p["bias"].flatten(), p["weight"].flatten()]) for p in trajectory.points]
    return losses, torch.stack(way)


def _map(batch: tuple[Tensor, Tensor], options: Options, losses: Any) -> LossMap:
    span = (-5.0, 8.0)
    return loss_map(
        nn.Linear(1, 1), batch, losses, ("bias", span), ("weight", span), size=options.size
    )


def _with_path(found: LossMap, path: Tensor) -> LossMap:
    return dataclasses.replace(found, path=path)


def _compare_huber(batch: tuple[Tensor, Tensor], options: Options, output: Output) -> None:
    def gap(parameter: float) -> float:
        pair: dict[str, Callable[[Any, Any], Tensor]] = {
            "Huber": lambda o, t: F.huber_loss(o, t, delta=parameter),
            "SmoothL1": lambda o, t: F.smooth_l1_loss(o, t, beta=parameter),
        }
        huber, smooth = _map(batch, options, pair).values
        return float((huber - smooth).abs().max())

    output.add("Huber - SmoothL1 at their defaults", gap(1.0), 0.0, 1e-5, kind="D", quick=True)
    inf = float("inf")
    output.add("the same at delta = beta = 3", gap(3.0), None, (0.1, inf), kind="D", quick=True)
