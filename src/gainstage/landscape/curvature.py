"""Curvature of a loss: the Hessian's largest eigenvalues, their directions, its trace."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gainstage.errors import MissingExtraError, UsageError
from gainstage.landscape.directions import Weights
from gainstage.landscape.mapping import Loss, check_fit


@dataclass(frozen=True, slots=True)
class Curvature:
    """The Hessian's outstanding part at one point.

    Attributes:
        eigenvalues: [count], the largest first.
        directions: an eigenvector of unit norm for each, by parameter name; two span a
            :func:`~gainstage.landscape.plane`.
        trace: estimated, or None if it was not asked for.
    """

    eigenvalues: Tensor
    directions: tuple[dict[str, Tensor], ...]
    trace: float | None


def curvature(
    model: nn.Module,
    batch: tuple[Any, Any],
    loss_fn: Loss,
    *,
    count: int = 2,
    probes: int = 0,
    seed: int = 0,
) -> Curvature:
    """The largest eigenvalues of the loss's Hessian, by Lanczos' method on products with it.

    Gradient descent at a rate lr is stable along an eigenvector while lr times its eigenvalue is
    below 2; large trainings hover there (Cohen et al., ICLR 2021).

    Args:
        model: is copied, in evaluation mode, and not touched.
        batch: ``(inputs, targets)``.
        loss_fn: from output and target to a number, a mean over samples.
        count: how many eigenvalues.
        probes: random products by which the trace is estimated (Hutchinson's method; the
            relative error falls as 1 / sqrt(probes)); none if 0.
        seed: of the first vector and the probes.

    Raises:
        MissingExtraError: curvlinops is not installed.
        UsageError: there are not more weights than eigenvalues are asked for.

    Source:
        Dangel et al., curvlinops; Cohen, Kaur, Li, Kolter, Talwalkar, "Gradient descent on neural
        networks typically occurs at the edge of stability", ICLR 2021.
    """
    curvlinops, linalg = _peer("curvlinops"), _peer("scipy.sparse.linalg")
    model = copy.deepcopy(model).eval()
    parameters = {n: p.requires_grad_() for n, p in model.named_parameters()}
    weights = sum(p.numel() for p in parameters.values())
    if not 0 < count < weights:
        msg = f"Lanczos' method finds fewer eigenvalues than there are weights, {weights}: {count}."
        raise UsageError(msg)
    operator = curvlinops.HessianLinearOperator(
        model, _Mean(loss_fn), list(parameters.values()), [batch], check_deterministic=False
    )
    matrix = operator.to_scipy()
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(matrix.shape[0], generator=generator).numpy()
    values, vectors = linalg.eigsh(matrix, k=count, which="LA", v0=first)
    order = values.argsort()[::-1]
    trace = None
    if probes:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            trace = float(curvlinops.hutchinson_trace(operator, min(probes, len(first) - 1)))
    sizes = [p.numel() for p in parameters.values()]
    like = next(iter(parameters.values())).detach()
    rows = torch.from_numpy(vectors[:, order].T.copy()).to(like)
    directions = tuple(
        {
            name: part.view_as(p)
            for (name, p), part in zip(parameters.items(), torch.split(row, sizes), strict=True)
        }
        for row in rows
    )
    return Curvature(torch.from_numpy(values[order].copy()).to(like), directions, trace)


def sharpness(
    model: nn.Module, batch: tuple[Any, Any], loss_fn: Loss, points: Sequence[Weights]
) -> Tensor:
    """The largest eigenvalue [point] at each point of a trajectory.

    Times the rate, and held against 2, it says how near gradient descent is to the edge of
    stability.

    Args:
        model: is copied, and not touched.
        batch: ``(inputs, targets)``.
        loss_fn: as in :func:`curvature`.
        points: weights by name, as a :class:`~gainstage.landscape.Trajectory` has them.

    Raises:
        MissingExtraError: curvlinops is not installed.
        UsageError: the points are of another model.
    """
    moved, found = copy.deepcopy(model), []
    for point in points:
        check_fit("point", point, moved)
        moved.load_state_dict(dict(point), strict=False)
        found.append(curvature(moved, batch, loss_fn, count=1).eigenvalues[0])
    return torch.stack(found)


class _Mean(nn.Module):
    """A loss as curvlinops wants it: a module that says that it is a mean."""

    reduction = "mean"

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self._loss = loss

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(output, target)


def _peer(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = "Curvature needs curvlinops: run `pip install 'gainstage[curvature]'`."
        raise MissingExtraError(msg) from error
