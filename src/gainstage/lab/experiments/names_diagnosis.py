"""Experiment 3: activations, gradients and BatchNorm of a deep model of names."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gainstage import init
from gainstage.lab.data import LETTERS, letter_rows
from gainstage.lab.data import names as all_names
from gainstage.lab.experiment import Output, experiment
from gainstage.lab.plots import curves, distributions, map_of
from gainstage.quantities import level_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SATURATED: Final = 0.97
HIDDEN, DEPTH, WIDTH = 100, 5, 10

REGIMES: Final = {
    "a-as-drawn": "all from N(0, 1)",
    "b-gain": "gain 5/3, output x 0.1",
    "c-no-gain": "gain 1, output x 0.1",
    "d-batch-norm": "gain 1, BatchNorm",
}


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        steps: of SGD in each regime.
        batch: examples a step.
        lr: SGD's rate.
        seed: draws weights and batches.
    """

    steps: int = 1000
    batch: int = 32
    lr: float = 0.1
    seed: int = 2147483647


class DeepNames(nn.Module):
    """Embedding, five layers of tanh, scores of the next letter.

    Args:
        norm: whether each hidden layer is normalised over the batch.
    """

    def __init__(self, *, norm: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(len(LETTERS), WIDTH)
        widths = [3 * WIDTH, *[HIDDEN] * DEPTH]
        layers: list[nn.Module] = []
        for into, out in itertools.pairwise(widths):
            layers.append(nn.Linear(into, out, bias=not norm))
            layers += [nn.BatchNorm1d(out)] if norm else []
            layers.append(nn.Tanh())
        self.hidden = nn.Sequential(*layers)
        self.out = nn.Linear(HIDDEN, len(LETTERS))

    def forward(self, rows: Tensor) -> Tensor:
        """Scores [n, 27] of contexts [n, 3]."""
        scores: Tensor = self.out(self.hidden(self.table(rows).flatten(1)))
        return scores


@dataclass(slots=True)
class Course:
    """What a training showed.

    Attributes:
        losses: of each batch.
        ratios: log10 of update over data at each step, by weight.
    """

    losses: list[float] = field(default_factory=list)
    ratios: dict[str, list[float]] = field(default_factory=dict)


@experiment("names-diagnosis", number=3, options=Options, quick={"steps": 60})
def names_diagnosis(options: Options, output: Output) -> None:
    """What experiment 2 suffers from: saturation, fading, and what BatchNorm cures.

    A deep tanh model of names in four regimes: as drawn from N(0, 1), where tanh is saturated and
    the first loss far above ln 27; with the gain 5/3 and a small output layer; with gain 1, where
    activations shrink from layer to layer; and with BatchNorm, where the gain does not matter.
    Levels in dB stand beside those that are predicted. Updates of about a thousandth of the weights
    (-3 on the logarithmic scale) are the guide line.

    Source:
        Karpathy, makemore part 3, "Activations & gradients, BatchNorm".
    """
    contexts, letters, _ = letter_rows(all_names())
    chance = math.log(len(LETTERS))
    losses = {}
    for name in REGIMES:
        model = drawn(name, options.seed)
        look = contexts[:1000], letters[:1000]
        found = _look(model, look, name, output)
        first = float(F.cross_entropy(model(contexts[:5000]), letters[:5000]).detach())
        within = (3 * chance, math.inf) if name.startswith("a") else (chance - 0.3, chance + 0.4)
        output.add(f"{name}: first loss (ln 27 = 3.296)", first, None, within, quick=True)
        _judge(name, found, output)
        course = train_(model, contexts, letters, options)
        losses[REGIMES[name]] = course.losses
        output.picture(f"{name}-updates", _updates(course, name))
        if name.startswith("d"):
            _batch_norm(model, contexts[:20_000], letters[:20_000], output)
    output.picture("loss", _loss(losses))


def drawn(regime: str, seed: int) -> DeepNames:
    """The model in one of the regimes."""
    model = DeepNames(norm=regime.startswith("d"))
    if regime.startswith("a"):
        init.apply_(model, "normal", std=1.0, generator=seed, bias=0.0)
        return model
    hidden = 5 / 3 if regime.startswith("b") else 1.0
    init.apply_(model, "lecun_normal", generator=seed)
    with torch.no_grad():
        for module in model.hidden:
            if isinstance(module, nn.Linear):
                module.weight.mul_(hidden)
        model.out.weight.mul_(0.1)
    return model


def _look(
    model: DeepNames, batch: tuple[Tensor, Tensor], name: str, output: Output
) -> list[tuple[float, float]]:
    """Draw the first pass; deviation and saturated share of each activation."""
    kept: list[Tensor] = []
    tanh = [m for m in model.hidden if isinstance(m, nn.Tanh)]
    hooks = [m.register_forward_hook(lambda *a: kept.append(a[-1])) for m in tanh]
    loss = F.cross_entropy(model(batch[0]), batch[1])
    gradients = torch.autograd.grad(loss, kept)
    for hook in hooks:
        hook.remove()
    shares = [float((h.detach().abs() > SATURATED).double().mean()) for h in kept]
    names = [f"layer {i + 1}, {share:.0%} > .97" for i, share in enumerate(shares)]
    rows = {"activations": [h.detach() for h in kept], "gradients": list(gradients)}
    output.picture(f"{name}-distributions", distributions(rows, names, title=REGIMES[name]))
    saturated = (kept[0].detach()[:200].abs() > SATURATED).double()
    title = f"{REGIMES[name]}: |tanh| > 0.97 in layer 1"
    output.picture(f"{name}-saturation", map_of(saturated, title, ("unit", "example")))
    _levels(model, batch, name, output)
    return [(float(h.detach().std()), share) for h, share in zip(kept, shares, strict=True)]


def _levels(model: DeepNames, batch: tuple[Tensor, Tensor], name: str, output: Output) -> None:
    stages = init.predict(model, batch, F.cross_entropy).stages
    linear = [s for s in stages if s.op == "linear"][:-1]
    at = list(range(1, len(linear) + 1))
    series = {
        "forward": (at, [level_db(s.rms) for s in linear]),
        "forward, predicted": (at, [level_db(s.predicted_rms) for s in linear]),
        "backward": (at, [level_db(s.grad) for s in linear]),
        "backward, predicted": (at, [level_db(s.predicted_grad) for s in linear]),
    }
    figure = curves(series, title=REGIMES[name], axes=("layer", "level in dB"))
    output.picture(f"{name}-levels", figure)
    if name[0] in "bc":  # where units are Gaussian, as the theory supposes
        worst = max(abs(s.forward_db) for s in linear)
        label = f"{name}: measured - predicted level, largest in dB"
        output.add(label, worst, None, (0.0, 2.0), quick=True)


def _judge(name: str, found: list[tuple[float, float]], output: Output) -> None:
    (first, share), (last, _) = found[0], found[-1]
    fading = last / first
    told = {
        "a": ("saturated share of layer 1", share, (0.4, 1.0)),
        "b": ("deviation of the last activation over the first", fading, (0.75, 1.2)),
        "c": ("deviation of the last activation over the first", fading, (0.0, 0.6)),
        "d": ("deviation of the last activation over the first", fading, (0.9, 1.1)),
    }
    label, value, within = told[name[0]]
    output.add(f"{name}: {label}", value, None, within, quick=True)


def train_(model: DeepNames, contexts: Tensor, letters: Tensor, options: Options) -> Course:
    """Plain SGD, with the update over the weight of every matrix at every step."""
    generator = torch.Generator().manual_seed(options.seed)
    weights = {n: p for n, p in model.named_parameters() if p.dim() > 1}
    course = Course(ratios={name: [] for name in weights})
    for _ in range(options.steps):
        rows = torch.randint(0, len(letters), (options.batch,), generator=generator)
        loss = F.cross_entropy(model(contexts[rows]), letters[rows])
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.add_(parameter.grad, alpha=-options.lr)
        course.losses.append(loss.item())
        for name, weight in weights.items():
            if weight.grad is not None:
                update = options.lr * float(weight.grad.std())
                course.ratios[name].append(math.log10(update / float(weight.detach().std())))
    return course


def _updates(course: Course, name: str) -> Figure:
    series: dict[str, tuple[list[float], list[float]]] = {
        weight: (list(map(float, range(len(values)))), values)
        for weight, values in course.ratios.items()
    }
    axes = ("step", "log10 of update over weight")
    figure = curves(series, title=REGIMES[name], axes=axes)
    figure.axes[0].axhline(-3, color="#999999", linestyle=":")
    return figure


def _loss(losses: dict[str, list[float]]) -> Figure:
    window = 10
    series = {}
    for name, values in losses.items():
        means = torch.tensor(values[: len(values) // window * window]).view(-1, window).mean(1)
        series[name] = ([window * (i + 1.0) for i in range(len(means))], means.tolist())
    return curves(series, title="Names", axes=("step", "loss of the batches"), log=True)


def _batch_norm(model: DeepNames, contexts: Tensor, letters: Tensor, output: Output) -> None:
    """Running statistics against those of the whole set."""

    def loss() -> float:
        with torch.no_grad():
            return float(F.cross_entropy(model(contexts), letters))

    model.eval()
    running = loss()
    norms = [m for m in model.hidden if isinstance(m, nn.BatchNorm1d)]
    for norm in norms:  # a mean over all that is seen, in the place of a moving one
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    loss()
    model.eval()
    calibrated = loss()
    gap = abs(running - calibrated)
    output.add("d: loss by running statistics - by those of the set", gap, None, (0.0, 0.3))
    output.add("d: loss by the statistics of the set", calibrated, None, (1.8, 3.0))
