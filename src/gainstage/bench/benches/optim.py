"""The price of a step of our reference optimisers, beside torch's and the usual textbook code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gainstage import optim
from gainstage.bench.bench import BENCHES, Line, Outcome, Settings
from gainstage.bench.workloads import WORKLOADS

ROUNDS: Final = 151

Seconds: TypeAlias = dict[str, tuple[float, ...]]
Textbook: TypeAlias = Callable[[list[nn.Parameter]], Callable[[], None]]


@BENCHES.register("optim")
def optimizers(settings: Settings) -> Outcome:
    """One step on the deep MLP, on one thread: ours, torch's foreach, and a naive one."""
    del settings  # the yardsticks are torch's own, and written below
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lines = [line for name in NAIVE for line in _one(name)]
    finally:
        torch.set_num_threads(threads)
    return Outcome(lines)


def _one(name: str) -> list[Line]:
    options = {"lr": 1e-3} | ({"momentum": 0.9} if name == "SGD" else {})
    ours, torchs = getattr(optim, name), getattr(torch.optim, name, None)
    seconds = _steps(
        {
            "gainstage": lambda p: ours(p, **options).step,
            "gainstage, foreach=True": lambda p: ours(p, foreach=True, **options).step,
            "torch, foreach=True": lambda p: (
                torchs(p, foreach=True, **options).step
                if torchs
                else torch.optim.SGD(p, 1e-4, 0.9, foreach=True).step  # the same as EMA
            ),
            "naive": NAIVE[name],
        }
    )
    # of one thread the processor's time is the work; the wall clock has everybody else's too
    spent = {contestant: cpu for contestant, (cpu, _) in seconds.items()}
    theirs = spent["gainstage"] / spent["torch, foreach=True"]
    naive = spent["naive"] / spent["gainstage"]
    return [
        *(
            Line(contestant, 1e3 * cpu, "ms", workload=name, wall=1e3 * wall)
            for contestant, (cpu, wall) in seconds.items()
        ),
        Line("ours over torch", ratio=theirs, reach=("<=", 1.15), workload=name),
        Line("naive over ours", ratio=naive, reach=(">=", 2.0), workload=name),
    ]


def _steps(makers: dict[str, Callable[[list[nn.Parameter]], Callable[[], object]]]) -> Seconds:
    """Median seconds of each contestant's step, in trainings of their own that take turns.

    Only the step is timed, but the passes before it are made: they leave the caches and the
    memory as a step finds them.
    """
    models = {name: WORKLOADS["MLP"].model() for name in makers}
    steps = {name: make(list(models[name].parameters())) for name, make in makers.items()}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in makers}
    generator = torch.Generator().manual_seed(0)
    names = list(models)
    for turn in range(ROUNDS + 1):
        x, y = WORKLOADS["MLP"].batch(generator)
        first = turn % len(names)  # each comes after each other one, and after the new batch
        for name in names[first:] + names[:first]:
            model = models[name]
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            wall, cpu = time.perf_counter(), time.process_time()
            steps[name]()
            spent[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {name: tuple(np.median(times[1:], axis=0)) for name, times in spent.items()}


def _sgd(parameters: list[nn.Parameter]) -> Callable[[], None]:
    b = _zeros(parameters)

    @torch.no_grad()
    def step() -> None:
        for i, (p, g) in enumerate(_pairs(parameters)):
            b[i] = 0.9 * b[i] + (1 - 0.0) * g
            p.sub_(1e-3 * b[i])

    return step


def _ema(parameters: list[nn.Parameter]) -> Callable[[], None]:
    m = _zeros(parameters)

    @torch.no_grad()
    def step() -> None:
        for i, (p, g) in enumerate(_pairs(parameters)):
            m[i] = 0.9 * m[i] + (1 - 0.9) * g
            p.sub_(1e-3 * m[i])

    return step


def _rmsprop(parameters: list[nn.Parameter]) -> Callable[[], None]:
    v = _zeros(parameters)

    @torch.no_grad()
    def step() -> None:
        for i, (p, g) in enumerate(_pairs(parameters)):
            v[i] = 0.99 * v[i] + (1 - 0.99) * g**2
            p.sub_(1e-3 * g / (torch.sqrt(v[i]) + 1e-8))

    return step


def _adam(parameters: list[nn.Parameter]) -> Callable[[], None]:
    m, v, t = _zeros(parameters), _zeros(parameters), 0

    @torch.no_grad()
    def step() -> None:
        nonlocal t
        t += 1
        for i, (p, g) in enumerate(_pairs(parameters)):
            m[i] = 0.9 * m[i] + (1 - 0.9) * g
            v[i] = 0.999 * v[i] + (1 - 0.999) * g**2
            m_hat, v_hat = m[i] / (1 - 0.9**t), v[i] / (1 - 0.999**t)
            p.sub_(1e-3 * m_hat / (torch.sqrt(v_hat) + 1e-8))

    return step


def _adamw(parameters: list[nn.Parameter]) -> Callable[[], None]:
    adam = _adam(parameters)

    @torch.no_grad()
    def step() -> None:
        for p in parameters:
            p.sub_(1e-3 * 1e-2 * p)
        adam()

    return step


def _pairs(parameters: list[nn.Parameter]) -> Iterator[tuple[nn.Parameter, Tensor]]:
    return ((p, p.grad) for p in parameters if p.grad is not None)


def _zeros(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [torch.zeros_like(p) for p in parameters]


NAIVE: Final[dict[str, Textbook]] = {
    "SGD": _sgd,
    "EMA": _ema,
    "RMSprop": _rmsprop,
    "Adam": _adam,
    "AdamW": _adamw,
}
"""Each optimiser as one writes it down: tensor by tensor, with temporaries."""
