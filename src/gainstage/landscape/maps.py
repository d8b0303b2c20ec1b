"""Maps of a model's loss: over two of its weights, over a plane, along a line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import torch
from torch import nn

from gainstage.errors import UsageError
from gainstage.landscape.directions import Weights, project, random_directions
from gainstage.landscape.evaluator import BatchNormMode
from gainstage.landscape.lossmap import LossMap
from gainstage.landscape.mapping import Filler, Loss

Axis: TypeAlias = tuple[str, tuple[float, float]]

MEMORY: Final = 2**28


def loss_map(  # noqa: PLR0913 - as many as a map has sides
    model: nn.Module,
    batch: tuple[Any, Any],
    loss_fn: Loss | Mapping[str, Loss],
    x: Axis,
    y: Axis,
    *,
    size: int = 101,
    memory: int = MEMORY,
    trajectory: Sequence[Weights] | None = None,
) -> LossMap:
    """The loss over two weights of a model, the others as they are.

    Args:
        model: is not touched.
        batch: ``(inputs, targets)``.
        loss_fn: from output and target to a number, or several by name: they share the outputs.
        x: a weight and its least and greatest value: ``("bias", (-5, 8))``, or for one element of
            several ``("0.weight[2, 1]", (-1, 1))``.
        y: the other.
        size: points along each axis.
        memory: bytes that evaluating several points at once may take.
        trajectory: weights of a training, to be drawn on the map.

    Raises:
        UsageError: there is no such weight, or both are the same.

    Example:
        >>> model, batch = nn.Linear(1, 1), (torch.ones(4, 1), torch.zeros(4, 1))
        >>> mse = torch.nn.functional.mse_loss
        >>> found = loss_map(model, batch, mse, ("bias", (-1, 1)), ("weight", (-1, 1)), size=3)
        >>> found.values[0]
        tensor([[4., 1., 0.],
                [1., 0., 1.],
                [0., 1., 4.]])
    """
    origin = {name: p.detach().clone() for name, p in model.named_parameters()}
    elements = [_element(origin, text) for text, _ in (x, y)]
    if elements[0] == elements[1]:
        msg = f"A map is over two weights, but both axes are {x[0]!r}."
        raise UsageError(msg)
    directions = []
    for name, index in elements:
        origin[name][index] = 0.0
        direction = torch.zeros_like(origin[name])
        direction[index] = 1.0
        directions.append({name: direction})
    found = plane(
        model,
        batch,
        loss_fn,
        directions,
        origin=origin,
        x=x[1],
        y=y[1],
        size=size,
        memory=memory,
        trajectory=trajectory,
    )
    return replace(found, axes=(x[0], y[0]))


def plane(  # noqa: PLR0913 - a map has many sides; all but three have defaults
    model: nn.Module,
    batch: tuple[Any, Any],
    loss_fn: Loss | Mapping[str, Loss],
    directions: Sequence[Weights] | None = None,
    *,
    origin: Weights | None = None,
    x: tuple[float, float] = (-1.0, 1.0),
    y: tuple[float, float] = (-1.0, 1.0),
    size: int = 51,
    memory: int = MEMORY,
    batch_norm: BatchNormMode = "batch",
    trajectory: Sequence[Weights] | None = None,
    resume: LossMap | None = None,
) -> LossMap:
    """The loss over the plane that two directions span in weight space.

    Args:
        model: is copied, never touched; dropout is off.
        batch: ``(inputs, targets)``, where the inputs may be a tuple.
        loss_fn: from output and target to a number, or several by name.
        directions: two, by parameter name; by default random, filter-normalised.
        origin: the weights at (0, 0); by default the model's. A state dict will do.
        x: least and greatest coordinate along the first direction.
        y: along the second.
        size: points along each axis.
        memory: bytes that evaluating several points at once may take.
        batch_norm: the statistics that BatchNorm uses: of the ``"batch"``, ``"recalibrated"`` at
            each point, or ``"running"``: those of the origin (the model's, if it has none of its
            own), which fit its weights only.
        trajectory: weights of a training, to be drawn where they are nearest on the plane.
        resume: a map that was interrupted: its rows are not evaluated again.

    Returns:
        The map. Ctrl-C ends it early: what was evaluated is returned, and ``complete`` is False.

    Raises:
        UsageError: a direction or the origin does not fit the model, the batch is no pair, or the
            size is none.

    Source:
        Li, Xu, Taylor, Studer, Goldstein, "Visualizing the loss landscape of neural nets",
        NeurIPS 2018.
    """
    directions = random_directions(model) if directions is None else directions
    if len(directions) != 2:
        msg = f"A plane needs two directions; here are {len(directions)}. One makes a line."
        raise UsageError(msg)
    found = Filler(model, batch, loss_fn, origin, directions, batch_norm)
    result = found.evaluate(found.axis(x, size), found.axis(y, size), memory, resume)
    if trajectory is not None:
        path = project(trajectory, found.origin, found.directions)
        result = replace(result, path=path.to(result.values))
    return result


def line(  # noqa: PLR0913 - as many as a map has sides
    model: nn.Module,
    batch: tuple[Any, Any],
    loss_fn: Loss | Mapping[str, Loss],
    direction: Weights,
    *,
    origin: Weights | None = None,
    x: tuple[float, float] = (-1.0, 1.0),
    size: int = 101,
    memory: int = MEMORY,
    batch_norm: BatchNormMode = "batch",
) -> LossMap:
    """The loss along a direction in weight space, for instance from one checkpoint to another.

    Args:
        model: is copied, never touched; dropout is off.
        batch: ``(inputs, targets)``, where the inputs may be a tuple.
        loss_fn: from output and target to a number, or several by name.
        direction: by parameter name.
        origin: the weights at 0; by default the model's.
        x: least and greatest coordinate.
        size: points.
        memory: as in :func:`plane`.
        batch_norm: as in :func:`plane`.

    Raises:
        UsageError: the direction or the origin does not fit the model.

    Source:
        Goodfellow, Vinyals, Saxe, "Qualitatively characterizing neural network optimization
        problems", ICLR 2015.
    """
    still = {name: torch.zeros_like(tensor) for name, tensor in direction.items()}
    found = Filler(model, batch, loss_fn, origin, (direction, still), batch_norm)
    result = found.evaluate(found.axis(x, size), found.axis((0, 0), 1), memory, None)
    return replace(result, axes=("direction", ""))


def _element(weights: Weights, text: str) -> tuple[str, tuple[int, ...]]:
    """Name and index of one element: of ``"0.weight[2, 1]"``, or the only one of ``"bias"``."""
    name, _, inside = text.partition("[")
    if name not in weights:
        msg = f"The model has no weight {name!r}. There are: {', '.join(weights)}."
        raise UsageError(msg)
    shape = tuple(weights[name].shape)
    index = tuple(int(number) for number in re.findall(r"-?\d+", inside))
    if not inside and weights[name].numel() == 1:
        index = (0,) * len(shape)
    fits = len(index) == len(shape) and all(-n <= i < n for i, n in zip(index, shape, strict=True))
    if not fits:
        example = f"{name}[{', '.join('0' * len(shape))}]"
        msg = f"{text!r} is no element of {name!r}, which is {list(shape)}: write {example!r}."
        raise UsageError(msg)
    return name, tuple(i % n for i, n in zip(index, shape, strict=True))
