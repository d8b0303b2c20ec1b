"""The lab's training loop: an epoch at a time, kept so that a kill costs one epoch at most."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from rich.console import Console
from rich.progress import Progress
from torch import nn
from torch.nn import functional as F

from gainstage.errors import DataError
from gainstage.lab.data import Images

LAST: Final = "last.pt"
BEST: Final = "best.pt"
RESULT: Final = "result.json"


@dataclass(slots=True)
class Course:
    """What a training has shown so far.

    Attributes:
        train_losses: of each step.
        train_scores: accuracy over each epoch, as it was trained.
        val_scores: accuracy on the validation images after each epoch.
        test_acc: of the best weights; None until the end.
    """

    train_losses: list[float] = field(default_factory=list)
    train_scores: list[float] = field(default_factory=list)
    val_scores: list[float] = field(default_factory=list)
    test_acc: float | None = None

    @property
    def best(self) -> int:
        """The epoch of the best validation score, the first of several."""
        return self.val_scores.index(max(self.val_scores))


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train.

    Attributes:
        epochs: at most.
        batch: images a step; the last, partial batch of an epoch is dropped.
        seed: of the order of images, and of what the model draws (dropout).
        patience: epochs without a better validation score after which to stop; None: never.
    """

    epochs: int = 40
    batch: int = 256
    seed: int = 0
    patience: int | None = None


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: tuple[Images, Images, Images],
    plan: Plan,
    folder: Path,
    *,
    overwrite: bool = False,
) -> Course:
    """Train a classifier and leave it with the weights that were best in validation.

    After each epoch everything that the next one depends on is kept (weights, optimiser, random
    states), by a rename, so that a killed training goes on where it was and ends with the same
    weights bit for bit. A training that has ended is loaded, not repeated.

    Args:
        model: is trained.
        optimizer: of its parameters.
        data: training, validation and test images.
        plan: how.
        folder: for ``last.pt``, ``best.pt`` and ``result.json``.
        overwrite: begin anew whatever is there.

    Raises:
        DataError: what is in the folder is of another model or optimiser.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for name in (LAST, BEST, RESULT):
            (folder / name).unlink(missing_ok=True)
    if not (folder / RESULT).exists():
        with torch.random.fork_rng(devices=[]):
            _train(model, optimizer, data, plan, folder)
    _restore(model, folder / BEST)
    return Course(**json.loads((folder / RESULT).read_text("utf-8")))


def accuracy(model: nn.Module, images: Images) -> float:
    """The share of images that a model names rightly, in evaluation mode."""
    was = model.training
    model.eval()
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in images.batches(1024))
    model.train(was)
    return right / len(images)


def epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
) -> tuple[list[float], float]:
    """Train on batches; the loss of each, and the accuracy over all."""
    losses, right, seen = [], 0, 0
    for x, y in batches:
        optimizer.zero_grad()
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
        right += int((scores.argmax(1) == y).sum())
        seen += len(y)
    return losses, right / max(1, seen)


def _train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: tuple[Images, Images, Images],
    plan: Plan,
    folder: Path,
) -> None:
    train, valid, test = data
    generator, course = torch.Generator().manual_seed(plan.seed), Course()
    torch.manual_seed(plan.seed)
    if (folder / LAST).exists():
        course = _resume(model, optimizer, generator, folder / LAST)
    with _progress(plan.epochs, len(course.val_scores)) as advance:
        while len(course.val_scores) < plan.epochs and not _tired(course, plan):
            model.train()
            losses, score = epoch(model, optimizer, train.batches(plan.batch, generator))
            course.train_losses += losses
            course.train_scores.append(score)
            course.val_scores.append(accuracy(model, valid))
            if course.best == len(course.val_scores) - 1:
                save({"model": model.state_dict()}, folder / BEST)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            random = {"order": generator.get_state(), "global": torch.get_rng_state()}
            save({**state, "random": random, "course": asdict(course)}, folder / LAST)
            advance(course.val_scores[-1])
    _restore(model, folder / BEST)
    course.test_acc = accuracy(model, test)
    _replace(folder / RESULT, lambda path: path.write_text(json.dumps(asdict(course)), "utf-8"))


def _tired(course: Course, plan: Plan) -> bool:
    if plan.patience is None or not course.val_scores:
        return False
    return len(course.val_scores) - 1 - course.best >= plan.patience


def _resume(
    model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator, path: Path
) -> Course:
    kept = _restore(model, path)
    try:
        optimizer.load_state_dict(kept["optimizer"])
    except ValueError as error:
        msg = f"The checkpoint {path} is of another optimiser: {error}. Use another folder."
        raise DataError(msg) from error
    generator.set_state(kept["random"]["order"])
    torch.set_rng_state(kept["random"]["global"])
    return Course(**kept["course"])


def _restore(model: nn.Module, path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = load(path)
    load_weights(model, kept["model"], path)
    return kept


def load(path: Path) -> dict[str, Any]:
    """A checkpoint: tensors and plain values, nothing that could execute.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    try:
        kept: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError, KeyError) as error:
        why = str(error).partition("\n")[0]
        msg = f"The checkpoint {path} cannot be read: it is damaged, or no checkpoint ({why})."
        raise DataError(msg) from error
    return kept


def load_weights(model: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Put weights into a model.

    Raises:
        DataError: they are of another model.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if own != theirs:
        odd = sorted({name for name, _ in own.items() ^ theirs.items()})
        msg = f"The checkpoint {path} is of another model: they disagree at {', '.join(odd[:4])}."
        raise DataError(msg)
    model.load_state_dict(weights)


def save(values: dict[str, Any], path: Path) -> None:
    """Keep a checkpoint, by a rename: at any moment the old one or the new one is there, whole."""
    _replace(path, lambda unfinished: torch.save(values, unfinished))


def _replace(path: Path, write: Any) -> None:
    """Write a file so that at any moment there is the old one or the new one, whole."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    write(unfinished)
    unfinished.replace(path)


@contextmanager
def _progress(epochs: int, done: int) -> Iterator[Any]:
    """A bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Training", total=epochs, completed=done)

        def advance(score: float) -> None:
            progress.update(task, advance=1, description=f"Training, validation {score:.4f}")

        yield advance
