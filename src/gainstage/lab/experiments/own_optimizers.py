"""Experiment 9: our optimisers against torch's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch

from gainstage import optim
from gainstage.lab.experiment import Output, experiment

SHAPES: Final = ((3, 4), (7,), (2, 3, 5, 5))

Make = Callable[[Any], torch.optim.Optimizer]


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        steps: how far both go.
        seed: of weights and gradients.
    """

    steps: int = 100
    seed: int = 0


@experiment("own-optimizers", number=9, options=Options, quick={"steps": 20})
def own_optimizers(options: Options, output: Output) -> None:
    """Our optimisers go where torch's go, for every combination of options.

    The same weights (three shapes) and gradients (drawn anew at each step) are given to both. EMA
    momentum is torch's SGD with a rate of lr (1 - beta) and a momentum of beta, and not with a
    dampening of beta: torch does not dampen the first step.

    Source:
        torch.optim; Kingma, Ba, "Adam", ICLR 2015, algorithm 1.
    """
    for name in ("SGD", "RMSprop", "Adam", "AdamW"):
        ours, theirs = getattr(optim, name), getattr(torch.optim, name)
        cases = list(_grid(name))
        apart = max(_apart(partial(ours, **o), partial(theirs, **o), options) for o in cases)
        label = f"{name}, {len(cases)} combinations: largest difference"
        output.add(label, apart, 0.0, 1e-6, kind="D", quick=True)
    ema: Make = lambda p: optim.EMA(p, lr=0.01, beta=0.9)  # noqa: E731
    same = _apart(ema, lambda p: torch.optim.SGD(p, lr=0.001, momentum=0.9), options)
    output.add("EMA against SGD, lr (1 - beta)", same, 0.0, 1e-6, kind="D", quick=True)
    other = _apart(ema, lambda p: torch.optim.SGD(p, 0.01, 0.9, dampening=0.9), options)
    inf = float("inf")
    output.add("EMA against SGD, dampening beta", other, None, (1e-3, inf), kind="D", quick=True)


def _grid(name: str) -> Iterator[dict[str, Any]]:
    switches: dict[str, list[Any]] = {"weight_decay": [0.0, 0.1], "maximize": [False, True]}
    if name == "SGD":
        switches |= {"momentum": [0.0, 0.9], "dampening": [0.0, 0.5], "nesterov": [False, True]}
    elif name == "RMSprop":
        switches |= {"momentum": [0.0, 0.9], "centered": [False, True]}
    else:
        switches |= {"amsgrad": [False, True]}
    for values in itertools.product(*switches.values()):
        options = dict(zip(switches, values, strict=True))
        lookahead = options.get("nesterov")
        if not lookahead or (options["momentum"] and not options["dampening"]):
            yield {"lr": 0.001 if name == "RMSprop" else 0.01, **options}


def _apart(ours: Make, theirs: Make, options: Options) -> float:
    """How far two optimisers end from each other, at the weight where it is most."""
    generator = torch.Generator().manual_seed(options.seed)
    starts = [torch.randn(shape, generator=generator) for shape in SHAPES]
    one, other = ([torch.nn.Parameter(s.clone()) for s in starts] for _ in range(2))
    first, second = ours(one), theirs(other)
    for _ in range(options.steps):
        for p, q in zip(one, other, strict=True):
            p.grad = q.grad = torch.randn(p.shape, generator=generator)
        first.step()
        second.step()
    return max((p - q).abs().max().item() for p, q in zip(one, other, strict=True))
