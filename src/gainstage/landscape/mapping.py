"""How a map is filled: row by row, so that an interrupt leaves whole rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gainstage.errors import UsageError
from gainstage.landscape.directions import Weights
from gainstage.landscape.evaluator import BatchNormMode, Evaluator, keep_freed_memory
from gainstage.landscape.lossmap import LossMap

Loss: TypeAlias = Callable[[Any, Any], Tensor]

STATISTICS: Final = {
    "batch": "BatchNorm: statistics of the batch",
    "recalibrated": "BatchNorm: statistics measured anew at each point",
    "running": "BatchNorm: running statistics of the origin",
}


class Filler:
    """What is evaluated: a model on a batch, about an origin, along two directions."""

    def __init__(
        self,
        model: nn.Module,
        batch: tuple[Any, Any],
        loss_fn: Loss | Mapping[str, Loss],
        origin: Weights | None,
        directions: Sequence[Weights],
        batch_norm: BatchNormMode,
    ) -> None:
        if not (callable(loss_fn) or isinstance(loss_fn, Mapping)):
            kind = type(loss_fn).__name__
            msg = f"A map takes model, batch and loss_fn, in this order, but loss_fn is a {kind}."
            raise UsageError(msg)
        inputs, self.target = _halves(batch)
        self.inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        self.losses = dict(loss_fn) if isinstance(loss_fn, Mapping) else {_name(loss_fn): loss_fn}
        own = {name: p.detach() for name, p in model.named_parameters()}
        if not own or any(p.is_meta for p in own.values()):
            what = "no weights" if not own else "weights on the device meta, without values"
            msg = f"{type(model).__name__} has {what}, so its loss has no map."
            raise UsageError(msg)
        self.tensor = next(iter(own.values()))
        self.origin = {**own, **({} if origin is None else origin)}
        for what, weights in (("origin", self.origin), *(("direction", d) for d in directions)):
            check_fit(what, weights, model)
        self.directions = [{n: t for n, t in d.items() if n in own} for d in directions]
        if batch_norm not in STATISTICS:
            msg = f"batch_norm is {' or '.join(map(repr, STATISTICS))}, and not {batch_norm!r}."
            raise UsageError(msg)
        has_norm = any(isinstance(module, _BatchNorm) for module in model.modules())
        self.note = STATISTICS[batch_norm] if has_norm else ""
        with torch.no_grad():
            moved = self.directions  # buffers of whole state dicts stay
            self.evaluator = Evaluator(model, self.inputs, self.origin, moved, batch_norm)

    def axis(self, span: tuple[float, float], size: int) -> Tensor:
        """Coordinates, as exact as the weights are."""
        if size < 1:
            msg = f"A map has at least one point along an axis; its size is {size}."
            raise UsageError(msg)
        double = self.tensor.dtype == torch.float64
        return torch.linspace(*span, size, dtype=torch.float64 if double else torch.float32)

    def evaluate(self, xs: Tensor, ys: Tensor, memory: int, resume: LossMap | None) -> LossMap:
        """Fill a map row by row; an interrupt leaves the rest NaN."""
        values = torch.full((len(self.losses), len(ys), len(xs)), torch.nan, dtype=xs.dtype)
        done = 0
        if resume is not None:
            if not (torch.equal(resume.x, xs) and torch.equal(resume.y, ys)):
                msg = "The map to be resumed has other coordinates: ask for the same x, y and size."
                raise UsageError(msg)
            done = resume.rows
            values[:, :done] = resume.values[:, :done]
        try:
            with torch.no_grad(), _progress(len(ys) - done) as advance:
                for rows, losses in self._rows(xs, ys[done:], memory):
                    values[:, done : done + rows] = losses
                    done += rows
                    advance(rows)
        except KeyboardInterrupt:
            pass  # the map says itself that it is not complete
        return LossMap(xs, ys, tuple(self.losses), values, note=self.note, rows=done)

    def _rows(self, xs: Tensor, ys: Tensor, memory: int) -> Iterator[tuple[int, Tensor]]:
        """Numbers of rows, and their losses [loss, row, x]."""
        keep_freed_memory()
        chunk = self.evaluator.chunk(memory)
        parts = torch.split(ys, max(1, chunk // len(xs)))
        stacked = None
        if self.evaluator.stacked and parts:
            try:
                stacked = self._stack(xs, parts[0], chunk)
            except RuntimeError:  # vmap has no rule for something in the model or its loss;
                stacked = None  # an error of the model itself comes again below
        if stacked is not None:
            yield len(parts[0]), stacked
            for part in parts[1:]:
                yield len(part), self._stack(xs, part, chunk)
        else:
            for y in ys:
                yield 1, self._row(xs, y.item())

    def _stack(self, xs: Tensor, ys: Tensor, chunk: int) -> Tensor:
        points = torch.cartesian_prod(ys, xs).to(self.tensor.device, self.tensor.dtype)
        found = [
            self.evaluator.together(self._losses, part[:, 1], part[:, 0])
            for part in torch.split(points, chunk)
        ]
        return torch.cat(found).T.view(len(self.losses), len(ys), len(xs))

    def _row(self, xs: Tensor, y: float) -> Tensor:
        points = [self._losses(output) for output in self.evaluator.row(xs.tolist(), y)]
        return torch.stack(points, 1).unsqueeze(1)

    def _losses(self, output: Any) -> Tensor:
        return torch.stack([loss(output, self.target) for loss in self.losses.values()])


def _name(loss: Loss) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def _halves(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    many = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
    msg = f"The batch is (inputs, targets), and not a {type(batch).__name__}{many}."
    raise UsageError(msg)


def check_fit(what: str, weights: Weights, model: nn.Module) -> None:
    """Raise a UsageError unless every tensor has its like in the model, by name and shape.

    Args:
        what: the weights are, for the message.
        weights: by name; buffers may be among them.
        model: which.
    """
    own = {**model.state_dict(), **dict(model.named_parameters())}
    for name, tensor in weights.items():
        if name in own and tensor.shape == own[name].shape:
            continue
        has = f"{list(own[name].shape)}" if name in own else "no such weight"
        msg = (
            f"This {what} is of another model: it has {name!r} as {list(tensor.shape)}, "
            f"and the model has {has}."
        )
        raise UsageError(msg)


@contextmanager
def _progress(rows: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Mapping the loss", total=rows)
        yield lambda done: progress.advance(task, done)
