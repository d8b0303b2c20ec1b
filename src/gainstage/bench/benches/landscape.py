"""What a map of the loss costs: against a loop over its points, and against loss-landscapes."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gainstage.bench.bench import BENCHES, Line, Outcome, Settings, interleaved
from gainstage.bench.workloads import WORKLOADS
from gainstage.errors import MissingExtraError
from gainstage.landscape import LossMap, loss_map, plane, random_directions

SIZE: Final = 101
"""Points of the map over two weights, along each axis."""

LOSSES: Final[dict[str, Callable[[Any, Any], Tensor]]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "smooth l1": F.smooth_l1_loss,
}


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane that both draw: of a network, on how many samples, how finely, and how often."""

    workload: str
    samples: int
    size: int
    rounds: int
    least: float

    @property
    def name(self) -> str:
        """How the table calls it."""
        return f"{self.workload}, {self.samples} samples, {self.size} x {self.size}"


AS_FAST: Final = 0.95
"""Where the first layer is little of the work, both do the same; clocks differ by so much."""

PLANES: tuple[Plane, ...] = (
    Plane("MLP", 128, 51, 3, 2.0),
    Plane("MLP", 1024, 51, 1, 2.0),
    Plane("CNN", 4, 21, 3, AS_FAST),
    Plane("transformer", 2, 21, 3, AS_FAST),
)


@BENCHES.register("landscape")
def landscape(settings: Settings) -> Outcome:
    """The time of maps, on one thread.

    Args:
        settings: with ``peers``, planes of three networks by loss-landscapes too.

    Raises:
        MissingExtraError: loss-landscapes is wanted and not installed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lines = _against_the_loop()
        for case in PLANES if settings.peers else ():
            lines += _against_the_peer(case)
    finally:
        torch.set_num_threads(threads)
    return Outcome(lines)


def _against_the_loop() -> list[Line]:
    """A line through 50 points: four losses over weight and bias."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 1, generator=generator)
    model, batch = nn.Linear(1, 1), (x, 0.75 * x**2 + x + 2)
    span = (-5.0, 8.0)
    axis = torch.linspace(*span, SIZE).tolist()

    def ours() -> LossMap:
        return loss_map(model, batch, LOSSES, ("bias", span), ("weight", span), size=SIZE)

    def loop() -> list[float]:
        found = []
        with torch.no_grad():
            for loss in LOSSES.values():
                for weight in axis:
                    for bias in axis:
                        model.weight.fill_(weight)
                        model.bias.fill_(bias)
                        found.append(loss(model(batch[0]), batch[1]).item())
        return found

    name = f"two weights, {len(LOSSES)} losses, {SIZE} x {SIZE}"
    # in each round ours is called often, to be as long as the loop is, or nearly
    often = 20

    def many() -> None:
        for _ in range(often):
            ours()

    contestants = {"point by point": loop, "gainstage": many}
    seconds = interleaved(contestants, rounds=5)
    seconds["gainstage"] /= often
    off = np.abs(ours().values.flatten().numpy() - np.array(loop())).max()
    ratio = seconds["point by point"] / seconds["gainstage"]
    return [
        *(Line(who, wall=1e3 * s, unit="ms", workload=name) for who, s in seconds.items()),
        Line("point by point over ours", ratio=ratio, reach=(">=", 300.0), workload=name),
        Line("largest difference", ratio=float(off), reach=("<=", 1e-4), workload=name),
    ]


def _against_the_peer(case: Plane) -> list[Line]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = WORKLOADS[case.workload].model().eval()
    x, y = WORKLOADS[case.workload].batch(torch.Generator().manual_seed(0))
    while len(x) < case.samples:
        x, y = torch.cat([x, x]), torch.cat([y, y])
    batch = x[: case.samples], y[: case.samples]
    directions = random_directions(model)
    ours, theirs = _plane(case, model, batch, directions), _peer(case, model, batch, directions)
    kept: dict[str, Any] = {}
    seconds = interleaved(
        {
            "gainstage": lambda: kept.update(ours=ours()),
            "loss-landscapes": lambda: kept.update(theirs=theirs()),
        },
        rounds=case.rounds,
    )
    # of theirs, every other row lies where ours does; the rest is a step aside
    mine, other = kept["ours"].values[0].T.numpy()[::2], np.asarray(kept["theirs"])[::2]
    off = float(np.abs(mine / other - 1).max())
    ratio = seconds["loss-landscapes"] / seconds["gainstage"]
    return [
        *(Line(who, wall=1e3 * s, unit="ms", workload=case.name) for who, s in seconds.items()),
        Line("theirs over ours", ratio=ratio, reach=(">=", case.least), workload=case.name),
        Line("largest difference", ratio=off, reach=("<=", 1e-5), workload=case.name),
    ]


def _loss(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, -2), target.flatten())


def _plane(
    case: Plane, model: nn.Module, batch: tuple[Tensor, Tensor], directions: Any
) -> Callable[[], LossMap]:
    step = 1 / case.size
    return lambda: plane(
        model,
        batch,
        _loss,
        directions,
        x=(0.0, 1 - step),
        y=(step, 1.0),
        size=case.size,
        batch_norm="running",
    )


def _peer(
    case: Plane, model: nn.Module, batch: tuple[Tensor, Tensor], directions: Any
) -> Callable[[], Any]:
    try:
        peer = importlib.import_module("loss_landscapes")
        metrics = importlib.import_module("loss_landscapes.metrics")
    except ImportError as error:
        msg = "The peer is loss-landscapes: run `pip install 'gainstage[bench]'`."
        raise MissingExtraError(msg) from error
    ends = []
    for direction in directions:
        end = copy.deepcopy(model).requires_grad_(requires_grad=False)
        for name, parameter in end.named_parameters():
            parameter.add_(direction[name])
        ends.append(end)
    start = copy.deepcopy(model).requires_grad_(requires_grad=False)
    metric = metrics.Loss(_loss, *batch)
    return lambda: peer.planar_interpolation(
        start, *ends, metric, steps=case.size, deepcopy_model=True
    )
