"""What a scheme makes of deep networks' levels, what calibration does, beside the package lsuv."""

from __future__ import annotations

import importlib
import itertools
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import gainstage.init as gs_init
from gainstage.bench.bench import BENCHES, Grid, Line, Outcome, Settings
from gainstage.bench.nets import Deep, deep
from gainstage.errors import MissingExtraError
from gainstage.init.tape import recording

Floats = NDArray[np.float64]

Ways = Mapping[str, Callable[[nn.Module, Any], object]]
"""Calibrations by name."""

SEEDS: Final = 10
WIDTH: Final = 512
NARROW: Final = 128
"""Width of the networks that lsuv calibrates beside us: it runs passes for each layer."""


@BENCHES.register("initialization")
def initialization(settings: Settings) -> Outcome:
    """Levels over ten seeds after ``apply_`` and ``calibrate_``, on four deep networks."""
    # peers first, so that one is missed before the minutes that come
    ways = {"gainstage": _ours, **({"lsuv": _lsuv()} if settings.peers else {})}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lines, levels = _schemes(deep(WIDTH))
        more, rows = _calibrated(WIDTH, {"gainstage": _ours})
        if settings.peers:
            rows += _calibrated(NARROW, ways)[1]
        layers = _layers(ways)
    finally:
        torch.set_num_threads(threads)
    promises = [
        (one.name, f"{one.ratio:.2f}", " ".join(map(str, one.reach)), _told(one))
        for one in (*lines, *more)
        if one.ratio is not None and one.reach is not None
    ]
    grids = (
        Grid(
            f"levels in dB of the mean power over {SEEDS} seeds, width {WIDTH}",
            ("network", "drawn by", "forward", "predicted", "backward", "seeds' sd", "band"),
            levels,
        ),
        Grid(
            f"calibrated to 0 dB: largest error of any stage, {SEEDS} seeds",
            ("network", "width", "by", "this batch", "a fresh batch", "seconds"),
            rows,
        ),
        Grid("error in dB by kind of layer, drawn 10 times too large", *layers),
        Grid("promises (dB; share)", ("", "measured", "promised", ""), promises),
    )
    return Outcome([*lines, *more], tuple(grid for grid in grids if grid.rows))


def _told(line: Line) -> str:
    return "reached" if line.reached else "MISSED"


def _schemes(nets: dict[str, Deep]) -> tuple[list[Line], list[tuple[str, ...]]]:
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    for name, net in nets.items():
        for scheme in (*net.drawn_by, ""):
            forward, backward, predicted, band = _over_seeds(net, scheme)
            mean, back = _pooled(forward), _pooled(backward)
            rows.append(
                (
                    name,
                    scheme or "torch",
                    _range(mean),
                    _range(predicted),
                    _range(back) if net.sent_back else "",
                    f"{forward.std(0).max():.1f}",
                    f"{band.max():.1f}",
                )
            )
            if scheme != "kaiming_normal":
                continue
            off = np.abs(mean - (predicted if net.reference == "predicted" else 0.0)).max()
            lines.append(Line(f"{name}: forward", ratio=off, reach=("<=", net.forward_db)))
            inside = float((np.abs(forward - predicted) < 2 * band).mean())
            lines.append(Line(f"{name}: seeds in two bands", ratio=inside, reach=(">=", 0.95)))
            if net.backward_db is not None:
                far = float(np.abs(back).max())
                lines.append(Line(f"{name}: backward", ratio=far, reach=("<=", net.backward_db)))
    return lines, rows


def _pooled(levels: Floats) -> Floats:
    """The level of the mean power over the seeds: [stages]."""
    return np.asarray(10 * np.log10((10 ** (levels / 10)).mean(0)))


def _range(levels: Floats) -> str:
    return f"{levels.min():+.1f} .. {levels.max():+.1f}"


def _over_seeds(net: Deep, scheme: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Levels forward and backward [seeds, stages]; predicted ones and their band [stages]."""
    forward, backward = [], []
    predicted, band = np.zeros(0), np.zeros(0)
    for seed in range(SEEDS):
        model, x = _drawn(net, scheme, seed), net.batch(seed)
        if seed == 0:
            stages = [s for s in gs_init.predict(model, x).stages if s.op in net.stages]
            predicted = 20 * np.log10([s.predicted_rms for s in stages])
            band = np.array([s.band_db for s in stages])
        there, back = _levels(model, x, net)
        forward.append(there)
        backward.append(back - back[-1])
    return np.array(forward), np.array(backward), predicted, band


def _drawn(net: Deep, scheme: str, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(100 + seed)
        model = net.make()
    if scheme:
        gs_init.apply_(model, scheme, generator=seed, batch=net.batch(seed))
    return model


def _levels(model: nn.Module, x: Any, net: Deep) -> tuple[Floats, Floats]:
    """Levels in dB of a model's stages, and of a random gradient's on its way back."""
    with recording(model, x) as (tape, output):
        if net.sent_back:
            chance = torch.Generator().manual_seed(0)
            output.backward(torch.randn(output.shape, generator=chance))
        nodes = [node for node in tape.nodes if node.op in net.stages]
        found = np.array([[node.rms, node.grad] for node in nodes])
    there, back = 20 * np.log10(found.T)
    return there, back


# ---- calibration


def _calibrated(width: int, ways: Ways) -> tuple[list[Line], list[tuple[str, ...]]]:
    """What each way reaches on the four networks; promises are ours."""
    lines: list[Line] = []
    rows: list[tuple[str, ...]] = []
    for (name, net), (way, calibrate) in itertools.product(deep(width).items(), ways.items()):
        here, fresh, seconds = [], [], []
        for seed in range(SEEDS):
            model, x = _drawn(net, "", seed), net.batch(seed)
            start = time.perf_counter()
            calibrate(model, x)
            seconds.append(time.perf_counter() - start)
            here.append(_error(model, x))
            fresh.append(_error(model, net.batch(seed + 500)))
        worst = f"{max(here):.2f}", f"{max(fresh):.2f}", f"{np.median(seconds):.2f}"
        rows.append((name, str(width), way, *worst))
        if way == "gainstage":
            lines.append(Line(f"{name}: calibrated", ratio=max(here), reach=("<=", 0.5)))
    return lines, rows


def _ours(model: nn.Module, x: Any) -> object:
    return gs_init.calibrate_(model, x, scheme="orthogonal", branches=False)


def _lsuv() -> Callable[[nn.Module, Any], object]:
    try:
        package: Any = importlib.import_module("lsuv")
    except ImportError as error:
        msg = "The peer is lsuv: run `pip install 'gainstage[bench]'`."
        raise MissingExtraError(msg) from error

    def calibrate(model: nn.Module, x: Any) -> object:
        with torch.random.fork_rng():
            torch.manual_seed(0)  # it draws from the global generator
            return package.lsuv_with_singlebatch(model, x, verbose=False)

    return calibrate


def _error(model: nn.Module, x: Any) -> float:
    """How far from 0 dB the furthest product with a weight is, by a calibration that asks only."""
    return max(abs(level) for level in gs_init.stage_levels(model, x).values())


def _layers(ways: Ways) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Which kinds of layer a calibration reaches."""
    rows = []
    for name, (make, x) in _kinds().items():
        told = []
        for calibrate in ways.values():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model = make()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(10.0 if parameter.dim() > 1 else 1.0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                calibrate(model, x)
            told.append(f"{_error(model, x):.2f}")
        rows.append((name, *told))
    return ("layer", *ways), rows


def _kinds() -> dict[str, tuple[Callable[[], nn.Module], Any]]:
    chance = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=chance)

    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(normal(64, 64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.weight

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(64, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.attention(x, x, x, need_weights=False)[0]
            return result

    return {
        "Linear": (lambda: nn.Linear(64, 64), normal(256, 64)),
        "Conv2d": (lambda: nn.Conv2d(8, 32, 3), normal(16, 8, 12, 12)),
        "ConvTranspose2d": (lambda: nn.ConvTranspose2d(8, 32, 4, 2), normal(16, 8, 12, 12)),
        "Embedding": (lambda: nn.Embedding(100, 64), torch.arange(100).view(4, 25)),
        "MultiheadAttention": (Attention, normal(16, 20, 64)),
        "LSTM": (lambda: nn.LSTM(64, 64, 2), normal(20, 16, 64)),
        "GRU": (lambda: nn.GRU(64, 64), normal(20, 16, 64)),
        "bare Parameter": (Bare, normal(256, 64)),
    }
