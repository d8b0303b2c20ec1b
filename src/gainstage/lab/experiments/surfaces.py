"""Experiment 7: optimisers on hard surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gainstage import optim
from gainstage.lab.experiment import Output, experiment
from gainstage.landscape import SURFACES, Race, animate, figure_3d, figure_map, race
from gainstage.landscape.race import Factory


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        steps: points recorded.
        films: whether to write animations.
    """

    steps: int = 100
    films: bool = True


@experiment("surfaces", number=7, options=Options, quick={"films": False})
def surfaces(options: Options, output: Output) -> None:
    """SGD, momentum and Adam in a ravine, and among narrow holes.

    In a ravine of very different slopes gradient descent bounces from wall to wall; an average of
    the gradient (momentum) cancels that, and so does dividing by its size (Adam). Among steep
    optima one large gradient throws gradient descent out, and momentum keeps it going; Adam's
    step is bounded by its rate.

    Source:
        Lippe, UvA Deep Learning Tutorials, tutorial 4.
    """
    ravine = race("pathological-curvature", _three(10, 10, 1), (5.0, 5.0), options.steps)
    holes = race("steep-optima", _three(0.5, 1, 0.2), (0.0, 0.0), options.steps)
    _judge_ravine(ravine, output)
    _judge_holes(holes, output)
    for result in (ravine, holes):
        name = result.surface.name
        output.picture(f"{name}-map", figure_map(result))
        output.picture(f"{name}-3d", figure_3d(result))
        output.landscape(name, result)
        if options.films:
            output.files.append(animate(result, output.folder / f"{name}.gif"))
    for name in SURFACES:
        output.picture(f"surface-{name}", figure_map(name, arrows=17))


def _three(sgd: float, ema: float, adam: float) -> dict[str, Factory]:
    return {
        f"SGD, lr {sgd:g}": lambda p: optim.SGD(p, lr=sgd),
        f"EMA momentum, lr {ema:g}": lambda p: optim.EMA(p, lr=ema, beta=0.9),
        f"Adam, lr {adam:g}": lambda p: optim.Adam(p, lr=adam),
    }


def _judge_ravine(ravine: Race, output: Output) -> None:
    path = ravine.trajectories[0, 0]
    crossings = (path[1:, 0] * path[:-1, 0] < 0).sum().item()
    # deterministic: the same at every run, whatever its length
    output.add("ravine, SGD: w2 at the last point", path[-1, 1].item(), -6.7228, 1e-3, kind="D")
    inf = float("inf")
    output.add("ravine, SGD: times w1 changes sign", crossings, None, (5, inf), kind="D")
    for index, name in ((1, "EMA momentum"), (2, "Adam")):
        floor = ravine.values[index, 0, -1].item()
        output.add(f"ravine, {name}: value at the end", floor, None, (0.0, 0.01), kind="D")


def _judge_holes(holes: Race, output: Output) -> None:
    ends = holes.trajectories[:, 0, -1]
    value = holes.values[0, 0, -1].item()
    output.add("holes, SGD: value at the end, on the plain", value, 0.0, 1e-3, kind="D")
    inf = float("inf")
    away = ends[1].norm().item()
    output.add("holes, EMA momentum: distance from the start", away, None, (5.0, inf), kind="D")
    off = (ends[2] - torch.tensor([-0.5, -0.8])).norm().item()
    output.add("holes, Adam: distance from the optimum", off, 0.0, 0.02, kind="D")
