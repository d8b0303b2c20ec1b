"""Experiment 1: small and large gradients in one network, at once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gainstage import optim
from gainstage.lab.experiment import Output, experiment
from gainstage.lab.models import DeepMLP
from gainstage.lab.plots import curves
from gainstage.render import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Make = Callable[[Iterable[Any], float], torch.optim.Optimizer]

RULES: Final[dict[str, Make]] = {
    "SGD": lambda p, lr: optim.SGD(p, lr=lr),
    "EMA momentum": lambda p, lr: optim.EMA(p, lr=lr),
    "RMSprop": lambda p, lr: optim.RMSprop(p, lr=lr),
    "Adam": lambda p, lr: optim.Adam(p, lr=lr),
    "Adam, biased": lambda p, lr: optim.Adam(p, lr=lr, bias_correction=False),
}

PUBLISHED: Final = {
    # accuracy at 0, at 255, at 1023 with its deviation over seeds, loss at 1023
    ("SGD", "linspace"): (0.496, 0.6665, 0.6968, 0.0025, 0.5717),
    ("Adam", "linspace"): (0.496, 0.9306, 0.9902, 0.0017, 0.0363),
    ("SGD", "default"): (0.482, 0.7718, 0.7837, 0.0079, 0.4303),
}

VARIANTS: Final = (
    ("EMA momentum", "linspace"),
    ("RMSprop", "linspace"),
    ("Adam, biased", "linspace"),
    ("SGD", "kaiming"),
)


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        iterations: of each training.
        points: in a batch.
        lr: of every rule.
        seeds: trainings of which the median is judged.
    """

    iterations: int = 1024
    points: int = 10_000
    lr: float = 0.01
    seeds: int = 3


@dataclass(slots=True)
class Course:
    """What a training showed: per iteration, and pictures at iterations 2^k - 1."""

    accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    zeros: int = 0
    frames: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    ema: list[list[float]] = field(default_factory=list)
    rms: list[list[float]] = field(default_factory=list)


@experiment("gradient-scales", number=1, options=Options, quick={"iterations": 64, "seeds": 1})
def gradient_scales(options: Options, output: Output) -> None:
    """Small and large gradients at once: why one rate does not suit all weights.

    A tiny network tells y > sin(3 x) from y < sin(3 x). Its weights begin as straight lines from 0
    to -1, 0 and 1 in turn, so that nearly all gradients are exactly zero. SGD moves what has a
    gradient and leaves the rest behind; Adam divides each gradient by its size, and solves it.

    Source:
        Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015, on averages and bias.
    """
    for (rule, start), published in PUBLISHED.items():
        courses = [_train(rule, start, seed, options) for seed in range(options.seeds)]
        _judge(f"{rule}, {start}", published, courses, options, output)
        _draw(f"{rule}-{start}", courses[0], output)
        _film(f"{rule}-{start}", courses[0], output)
    others = {pair: _train(*pair, 0, options) for pair in VARIANTS}
    for (rule, start), course in others.items():
        output.add(f"{rule}, {start}: accuracy at the end", course.accuracy[-1], None, (0.4, 1.0))
        if not output.quick:
            _draw(f"{rule}-{start}".replace(", ", "-").replace(" ", "-"), course, output)
    series = {
        ", ".join(pair): (range(len(course.accuracy)), course.accuracy)
        for pair, course in others.items()
    }
    output.picture("variants", curves(series, title="Variants", axes=("iteration", "accuracy")))


def _train(rule: str, start: str, seed: int, options: Options) -> Course:
    generator = torch.Generator().manual_seed(seed)
    model = _model(start, generator)
    optimizer, course = RULES[rule](model.parameters(), options.lr), Course()
    parameters = list(model.parameters())
    m = [torch.zeros_like(p) for p in parameters]
    v = [torch.zeros_like(p) for p in parameters]
    pictures = {2**k - 1 for k in range(options.iterations.bit_length())}
    for iteration in range(options.iterations):
        x = torch.randn(options.points, 2, generator=generator)
        y = _target(x).long()
        optimizer.zero_grad()
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        loss.backward()  # type: ignore[no-untyped-call]
        course.accuracy.append((scores.argmax(1) == y).float().mean().item())
        course.loss.append(loss.item())
        gradients = [p.grad for p in parameters if p.grad is not None]
        course.ema.append(_follow(m, gradients, squared=False))
        course.rms.append(_follow(v, gradients, squared=True))
        if iteration in pictures:
            flat = torch.cat([g.flatten() for g in gradients])
            course.frames[iteration] = (_probabilities(model), flat)
        if iteration == 0:
            course.zeros = sum(int((g == 0).sum()) for g in gradients)
        optimizer.step()
    return course


def _model(start: str, generator: torch.Generator) -> DeepMLP:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        model = DeepMLP(widths=(2, 20, 20, 2))
    with torch.no_grad():
        for index, p in enumerate(model.parameters()):
            if start == "linspace":
                p.copy_(torch.linspace(0, index % 3 - 1, p.numel()).view_as(p))
            elif start == "kaiming" and p.dim() == 2:
                nn.init.kaiming_normal_(p, nonlinearity="relu", generator=generator)
            elif start == "kaiming":
                p.zero_()
    return model


def _target(x: Tensor) -> Tensor:
    return x[..., 1] > torch.sin(3 * x[..., 0])


def _follow(averages: list[Tensor], gradients: list[Tensor], *, squared: bool) -> list[float]:
    """Move averages (of gradients, or of their squares) a step; the RMS of each tensor's."""
    sizes = []
    for average, gradient in zip(averages, gradients, strict=True):
        if squared:
            sizes.append(average.lerp_(gradient * gradient, 1e-3).mean().sqrt().item())
        else:
            sizes.append(average.lerp_(gradient, 0.1).square().mean().sqrt().item())
    return sizes


def _grid() -> Tensor:
    axis = torch.linspace(-2, 2, 100)
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)


def _probabilities(model: nn.Module) -> Tensor:
    """Of class 1, on 100 x 100 points over [-2, 2]^2."""
    with torch.no_grad():
        scores: Tensor = model(_grid().view(-1, 2))
    return scores.softmax(1)[:, 1].view(100, 100)


def _judge(
    name: str,
    published: tuple[float, ...],
    courses: list[Course],
    options: Options,
    output: Output,
) -> None:
    first, early, late, deviation, loss = published

    def median(at: int, what: str) -> float:
        values = [getattr(course, what)[at] for course in courses if len(course.accuracy) > at]
        return float(np.median(values)) if values else float("nan")

    if "linspace" in name:
        # one side of the plane at first: the share of it in a batch
        output.add(f"{name}: accuracy at 0", median(0, "accuracy"), first, 0.02, quick=True)
        zeros = courses[0].zeros
        output.add(f"{name}: gradients that are 0", zeros, 480, 0, kind="D", quick=True)
    else:
        output.add(f"{name}: accuracy at 0", median(0, "accuracy"), first, (0.2, 0.8))
    if options.iterations > 1023:
        output.add(f"{name}: accuracy at 255", median(255, "accuracy"), early, 0.03)
        wide = 4 * deviation + 0.005  # of seeds, and of the batch's own draw
        output.add(f"{name}: accuracy at 1023", median(1023, "accuracy"), late, wide)
        output.add(f"{name}: loss at 1023", median(1023, "loss"), loss, 0.05 * loss + 0.015)


def _draw(name: str, course: Course, output: Output) -> None:
    last = max(course.frames)
    output.picture(f"{name}-frame-{last:04d}", _frame(last, *course.frames[last]))
    names = ("W1", "b1", "W2", "b2", "W3", "b3")
    for label, rows in (("EMA of the gradient", course.ema), ("RMS of the gradient", course.rms)):
        columns = np.where(np.array(rows) > 0, rows, np.nan).T  # zero has no logarithm
        series = {n: (range(len(rows)), c.tolist()) for n, c in zip(names, columns, strict=True)}
        title = f"{label}, tensor by tensor ({name})"
        figure = curves(series, title=title, axes=("iteration", "size"), log=True)
        output.picture(f"{name}-{label[:3].lower()}", figure)


def _frame(iteration: int, probability: Tensor, gradient: Tensor) -> Figure:
    figure = canvas.new_figure(10, 3.4)
    figure.suptitle(f"iteration {iteration}")
    for place, (title, values) in enumerate(
        (("target", _target(_grid()).float()), ("probability of class 1", probability)), 1
    ):
        axes = figure.add_subplot(1, 3, place, title=title, xlabel="x", ylabel="y")
        image = axes.imshow(
            values.numpy(), origin="lower", extent=(-2, 2, -2, 2), vmin=0, vmax=1, cmap="coolwarm"
        )
    figure.colorbar(image, ax=figure.axes)
    axes = figure.add_subplot(1, 3, 3, title="|gradient|", xlabel="log10", ylabel="weights")
    size = gradient.abs().numpy()
    axes.hist(
        np.log10(size[size > 0]), bins=np.arange(-10, 1.01, 0.25).tolist(), color=canvas.COLORS[1]
    )
    axes.bar(-12, (size == 0).sum(), width=0.8, color=canvas.COLORS[0])
    axes.set_xticks([-12, -10, -7.5, -5, -2.5, 0], ["zero", "-10", "-7.5", "-5", "-2.5", "0"])
    return figure


def _film(name: str, course: Course, output: Output) -> None:
    """The frames as an animated GIF, two a second."""
    from PIL import Image  # noqa: PLC0415  # comes with matplotlib

    pictures = []
    for iteration, (probability, gradient) in course.frames.items():
        buffer = io.BytesIO()
        _frame(iteration, probability, gradient).savefig(buffer, format="png", dpi=80)
        pictures.append(Image.open(buffer).convert("P"))
    path = output.folder / f"{name}.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=500, loop=0)
    output.files.append(path)
