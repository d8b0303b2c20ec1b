"""Range tests on digits with true labels and labels by lot, beside sweeps and torch-lr-finder."""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gainstage.bench.bench import BENCHES, Grid, Line, Outcome, Settings
from gainstage.errors import MissingExtraError
from gainstage.sweeps.range_test import range_test

SEEDS: Final = 6
STEPS: Final = 300
"""Of a training of the full sweep."""

RANGES: Final = {"SGD": (1e-5, 10.0), "Adam": (1e-6, 1.0)}


@dataclass(frozen=True, slots=True)
class Task:
    """Digits of 8 x 8 points, a rectified MLP of three layers, batches of 64."""

    x: Tensor
    y: Tensor
    by_lot: bool
    optimizer: str

    def start(self, seed: int) -> tuple[nn.Module, torch.optim.Optimizer, Tensor]:
        """A network, its optimiser and the labels of a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = nn.Sequential(
                nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
            )
        made = torch.optim.SGD if self.optimizer == "SGD" else torch.optim.Adam
        generator = torch.Generator().manual_seed(seed)
        lot = torch.randint(10, self.y.shape, generator=generator)
        return net, made(net.parameters(), lr=1e-7), lot if self.by_lot else self.y

    def batches(self, labels: Tensor, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches without end."""
        generator = torch.Generator().manual_seed(seed)
        while True:
            i = torch.randint(len(self.x), (64,), generator=generator)
            yield self.x[i], labels[i]

    def losses(self, rates: Sequence[float], seed: int) -> list[float]:
        """Of a training with these rates."""
        net, optimizer, labels = self.start(seed)
        found = []
        for rate, (x, y) in zip(rates, self.batches(labels, seed), strict=False):
            loss = F.cross_entropy(net(x), y)
            found.append(float(loss.detach()))
            if not math.isfinite(found[-1]):
                break
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
        return found


@BENCHES.register("range-test")
def range_tests(settings: Settings) -> Outcome:
    """The band beside the best of a full sweep, on labels that can be learnt and on labels by lot.

    Promised: the band holds the best rate of the sweep, and there is no band on labels by lot.

    Args:
        settings: with ``peers``, torch-lr-finder is asked too, once a seed.

    Raises:
        MissingExtraError: scikit-learn is missing, or torch-lr-finder for ``peers``.
    """
    x, y = _digits()
    rows, lines, data = [], [], {}
    for optimizer in RANGES:
        for by_lot in (False, True):
            task = Task(x, y, by_lot, optimizer)
            low, high = RANGES[optimizer]
            found = range_test(task.losses, low=low, high=high, seeds=SEEDS)
            best = None if by_lot else _best(task)
            inside = found.band is None if best is None else _holds(found.band, best)
            peers = _peers(task) if settings.peers else []
            name = f"{optimizer}, {'labels by lot' if by_lot else 'digits'}"
            band = "no signal" if found.band is None else "{:.2g} to {:.2g}".format(*found.band)
            other = f"{min(peers):.2g} to {max(peers):.2g}" if peers else ""
            rows.append((name, band, "" if best is None else f"{best:.2g}", other))
            lines.append(Line(name, ratio=float(inside), reach=(">=", 1.0)))
            data[name] = {"band": found.band, "best": best, "torch-lr-finder": peers}
    header = ("task", f"band of {SEEDS} seeds", "best of a full sweep", "torch-lr-finder")
    return Outcome(lines, (Grid("range tests", header, rows),), data)


def _digits() -> tuple[Tensor, Tensor]:
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        msg = "The digits are scikit-learn's: run `pip install 'gainstage[lab]'`."
        raise MissingExtraError(msg) from error
    x, y = datasets.load_digits(return_X_y=True)
    return torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)


def _best(task: Task) -> float:
    """The rate, of five a decade, with the smallest late loss over three seeds."""
    low, high = RANGES[task.optimizer]
    rates = np.geomspace(low * 100, high, round(5 * math.log10(high / low / 100)) + 1)
    late: Callable[[float], float] = lambda rate: float(  # noqa: E731 - read in one place
        np.mean([_late(task.losses([rate] * STEPS, seed)) for seed in range(3)])
    )
    return float(min(rates, key=late))


def _late(losses: Sequence[float]) -> float:
    return float(np.median(losses[-STEPS // 10 :])) if len(losses) == STEPS else math.inf


def _holds(band: tuple[float, float] | None, rate: float) -> bool:
    return band is not None and band[0] <= rate <= band[1]


def _peers(task: Task) -> list[float]:
    """What torch-lr-finder suggests, once a seed, as its documentation uses it."""
    try:
        finder: Any = importlib.import_module("torch_lr_finder")
    except ImportError as error:
        msg = "torch-lr-finder is not installed: run `pip install torch-lr-finder`."
        raise MissingExtraError(msg) from error
    low, high = RANGES[task.optimizer]
    found = []
    for seed in range(SEEDS):
        net, optimizer, labels = task.start(seed)
        optimizer.param_groups[0]["lr"] = low
        data = torch.utils.data.TensorDataset(task.x, labels)
        generator = torch.Generator().manual_seed(seed)
        loader = torch.utils.data.DataLoader(data, 64, shuffle=True, generator=generator)
        one = finder.LRFinder(net, optimizer, nn.CrossEntropyLoss(), device="cpu")
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # its progress
            one.range_test(loader, end_lr=high, num_iter=200)
        rates, losses = one.history["lr"][10:-5], one.history["loss"][10:-5]
        found.append(float(rates[int(np.gradient(losses).argmin())]))
    return found
