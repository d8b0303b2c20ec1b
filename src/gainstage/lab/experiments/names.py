"""Experiment 2: a character model of names, trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gainstage.errors import MissingExtraError
from gainstage.lab.data import LETTERS, letter_rows
from gainstage.lab.data import names as all_names
from gainstage.lab.experiment import Output, experiment
from gainstage.lab.plots import curves
from gainstage.lab.training import load, save

CONTEXT: Final = 3
WIDTH: Final = 8
HIDDEN: Final = 180

SCORES: Final = {
    # published mean negative log-likelihood of a name, and how far a chaotic rerun may be off
    "chris": (1.399, 0.2),
    "kaniel": (1.641, 0.2),
    "daila": (1.745, 0.25),
    "hene": (1.950, 0.3),
    "adzia": (2.380, 0.4),
    "rla": (2.766, 0.65),
}


@dataclass(frozen=True)
class Options:
    """Parameters.

    Attributes:
        steps: of SGD.
        batch: examples a step.
        lr: SGD's rate at first.
        every: steps from one evaluation to the next.
        weights_seed: draws the weights.
        batch_seed: draws the batches.
        split: of rows, as published, or of whole names, so that no name is on both sides.
        overwrite: train again what is there.
    """

    steps: int = 300_000
    batch: int = 32
    lr: float = 0.2014206395146228
    every: int = 9_375
    weights_seed: int = 2147483647
    batch_seed: int = 42
    split: Literal["rows", "names"] = "rows"
    overwrite: bool = False


@dataclass(slots=True)
class Course:
    """What the training showed.

    Attributes:
        lr: the rate by now.
        losses: of each batch.
        dev: (steps done, loss) of each evaluation.
        cuts: steps done when the rate was cut.
        best: least loss of an evaluation.
        waited: evaluations since the best, or since the last cut.
    """

    lr: float
    losses: list[float] = field(default_factory=list)
    dev: list[tuple[int, float]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    best: float = float("inf")
    waited: int = 0

    def evaluated(self, loss: float, *, last: bool) -> None:
        """Take an evaluation into account; the third in vain cuts the rate."""
        done = len(self.losses)
        self.dev.append((done, loss))
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(self.best, loss)
        if self.waited == 3 and not last:
            self.lr, self.waited = 0.1 * self.lr, 0
            self.cuts.append(done)


Part = tuple[Tensor, Tensor]
"""Contexts int64 [n, 3] and next letters int64 [n]."""


@experiment("names", number=2, options=Options, quick={"steps": 2_000})
def names(options: Options, output: Output) -> None:
    """A character model of names, and a first loss far above knowing nothing.

    Three letters predict the next one. All weights are drawn from N(0, 1), so the first loss is 24
    where a model that knows nothing has ln 27 = 3.3: most of the first steps go into shrinking the
    last layer (experiment 3 looks at why). The published folds are cut by row: nearly all rows
    of the dev set also occur in the training set. ``--set split=names`` cuts by name.

    Source:
        Karpathy, makemore, after Bengio, Ducharme, Vincent, Jauvin, "A neural probabilistic
        language model", JMLR 2003.
    """
    train, dev, _ = _split(options.split)
    weights = draw_weights(options.weights_seed)
    as_published = options.split == "rows"
    before = (loss_of(weights, *train).item(), loss_of(weights, *dev).item())
    output.add(
        "train loss before training", before[0], 23.996872, 1e-5, kind="D", quick=as_published
    )
    output.add("dev loss before training", before[1], 24.143009, 1e-5, kind="D", quick=as_published)
    # a run of other parameters is another training
    chosen = replace(options, overwrite=False)
    kept = output.folder / f"{sha256(repr(chosen).encode()).hexdigest()[:8]}.pt"
    course = train_(weights, train, dev, options, kept)
    for step, loss in enumerate((24.114929, 22.174265, 18.189587)):
        label = f"loss of batch {step}"
        output.add(label, course.losses[step], loss, 1e-5, kind="D", quick=as_published)
    shared = _share_seen(train, dev)
    output.add("share of dev rows that occur in train", shared, None, (0.0, 1.0), kind="D")
    if options.steps >= 300_000:
        _judge(course, weights, train, dev, output)
    _write_samples(weights, output)
    _draw(course, output)


def _split(split: str) -> tuple[Part, Part, Part]:
    """Training, dev and test rows."""
    try:
        from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  # optional
    except ImportError as error:
        msg = "The folds need scikit-learn: run `pip install 'gainstage[lab]'`."
        raise MissingExtraError(msg) from error
    words = all_names()
    contexts, letters, owners = letter_rows(words, CONTEXT)
    if split == "rows":
        folds = StratifiedKFold(10, shuffle=True, random_state=42)
        parts = [test for _, test in folds.split(contexts.numpy(), letters.numpy())]
        fold = np.empty(len(letters), np.int64)
        for number, rows in enumerate(parts):
            fold[rows] = number
        of_row = torch.from_numpy(fold)
    else:
        generator = torch.Generator().manual_seed(42)
        of_row = torch.randint(10, (len(words),), generator=generator)[owners]
    chosen = (of_row > 1, of_row == 1, of_row == 0)
    train, dev, test = ((contexts[rows], letters[rows]) for rows in chosen)
    return train, dev, test


def draw_weights(seed: int) -> list[Tensor]:
    """The five tensors of the model, from N(0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((27, WIDTH), (CONTEXT * WIDTH, HIDDEN), (HIDDEN,), (HIDDEN, 27), (27,))
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def _scores(weights: list[Tensor], contexts: Tensor) -> Tensor:
    c, w1, b1, w2, b2 = weights
    hidden = torch.tanh(torch.addmm(b1, c[contexts].flatten(1), w1))
    return torch.addmm(b2, hidden, w2)


def loss_of(weights: list[Tensor], contexts: Tensor, letters: Tensor) -> Tensor:
    """Cross entropy, in nats a letter."""
    return F.cross_entropy(_scores(weights, contexts), letters)


def train_(
    weights: list[Tensor], train: Part, dev: Part, options: Options, kept: Path | None = None
) -> Course:
    """Plain SGD; its rate is cut at the third evaluation without a new best since the last.

    With a file, all that the next step depends on is kept at each evaluation, and a training that
    was killed goes on from there to the same weights.
    """
    contexts, letters = train
    generator = torch.Generator().manual_seed(options.batch_seed)
    course, recent = Course(options.lr), list[Tensor]()
    if kept is not None and kept.exists() and not options.overwrite:
        course = _resume(weights, generator, kept)
    for step in range(len(course.losses), options.steps):
        rows = torch.randint(0, len(letters), (options.batch,), generator=generator)
        loss = loss_of(weights, contexts[rows], letters[rows])
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.add_(gradient, alpha=-course.lr)
        recent.append(loss.detach())
        last = step == options.steps - 1
        if step % options.every == 0 or last:
            course.losses += torch.stack(recent).tolist()
            recent.clear()
            with torch.no_grad():
                course.evaluated(loss_of(weights, *dev).item(), last=last)
            if kept is not None:
                values = {"weights": [w.detach() for w in weights], "course": asdict(course)}
                save({**values, "order": generator.get_state()}, kept)
    return course


def _resume(weights: list[Tensor], generator: torch.Generator, path: Path) -> Course:
    kept = load(path)
    with torch.no_grad():
        for weight, value in zip(weights, kept["weights"], strict=True):
            weight.copy_(value)
    generator.set_state(kept["order"])
    return Course(**kept["course"])


def _share_seen(train: Part, dev: Part) -> float:
    seen = {tuple(row) for row in torch.column_stack(train).tolist()}
    rows = torch.column_stack(dev).tolist()
    return sum(tuple(row) in seen for row in rows) / len(rows)


def _judge(course: Course, weights: list[Tensor], train: Part, dev: Part, output: Output) -> None:
    cuts = [*course.cuts, 0, 0]
    for number, step in enumerate((75_001, 159_376)):
        label = f"rate cut {number + 1}, after step"
        output.add(label, cuts[number], step, 0, kind="D")
    losses = dict(course.dev)
    for step, loss in ((84_376, 2.1713), (150_001, 2.1678)):
        output.add(f"dev loss after step {step}", losses[step], loss, 0.02, kind="C")
    with torch.no_grad():
        end = loss_of(weights, *train).item(), loss_of(weights, *dev).item()
    output.add("train loss at the end", end[0], 2.1047, 0.02, kind="C")
    output.add("dev loss at the end", end[1], 2.1396, 0.01, kind="C")
    for name, (published, within) in SCORES.items():
        output.add(f"score of {name}", _score(weights, name), published, within, kind="C")


def _score(weights: list[Tensor], name: str) -> float:
    """Mean negative log-likelihood of a name's letters, its end included."""
    contexts, letters, _ = letter_rows([name], CONTEXT)
    with torch.no_grad():
        return loss_of(weights, contexts, letters).item()


def _sample(weights: list[Tensor], generator: torch.Generator) -> str:
    context, found = [0] * CONTEXT, ""
    while True:
        with torch.no_grad():
            chances = _scores(weights, torch.tensor([context])).softmax(1)
        letter = int(torch.multinomial(chances, 1, generator=generator))
        if letter == 0 or len(found) > 30:
            return found
        found += LETTERS[letter]
        context = [*context[1:], letter]


def _write_samples(weights: list[Tensor], output: Output) -> None:
    generator = torch.Generator().manual_seed(2147483647 + 10)
    found = {name for name in (_sample(weights, generator) for _ in range(20)) if name}
    ranked = sorted((_score(weights, name), name) for name in found)
    path = output.folder / "samples.txt"
    path.write_text("".join(f"{score:.3f} {name}\n" for score, name in ranked), "utf-8")
    output.files.append(path)


def _draw(course: Course, output: Output) -> None:
    losses = np.array(course.losses)
    window = max(1, len(losses) // 300)
    means = losses[: len(losses) // window * window].reshape(-1, window).mean(1)
    steps = (np.arange(len(means)) + 1) * window
    series = {
        "train, mean of batches": (steps.tolist(), means.tolist()),
        "dev": ([step for step, _ in course.dev[1:]], [loss for _, loss in course.dev[1:]]),
    }
    figure = curves(series, title="Names", axes=("step", "loss"), log=True)
    for cut in course.cuts:
        figure.axes[0].axvline(cut, color="#999999", linestyle=":")
    output.picture("loss", figure)
