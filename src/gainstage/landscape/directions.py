"""Directions of weight space, trajectories through it, and where these lie on a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from gainstage.errors import UsageError

Weights: TypeAlias = Mapping[str, Tensor]
"""Tensors by the names of ``model.named_parameters()``: a point, or a direction."""


def random_directions(
    model: nn.Module,
    count: int = 2,
    *,
    seed: int = 0,
    normalize: Literal["filter", "layer", "none"] = "filter",
) -> list[dict[str, Tensor]]:
    """Normal random directions, scaled like the weights, so that maps of models compare.

    A network of rectified units computes the same when one layer is doubled and the next halved;
    unscaled directions would call one of the two sharp.

    Args:
        model: whose weights.
        count: how many.
        seed: of a generator of their own.
        normalize: give each filter (row of a weight) or each whole tensor the norm that it has in
            the model, and leave out tensors of one dimension (biases, norms); or nothing of this.

    Raises:
        UsageError: `normalize` is none of the three.

    Source:
        Li, Xu, Taylor, Studer, Goldstein, "Visualizing the loss landscape of neural nets",
        NeurIPS 2018, section 4.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> (direction,) = random_directions(model, 1)
        >>> torch.allclose(direction["weight"].norm(dim=1), model.weight.norm(dim=1))
        True
    """
    if normalize not in ("filter", "layer", "none"):
        msg = f"normalize is 'filter', 'layer' or 'none', and not {normalize!r}."
        raise UsageError(msg)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        direction = {}
        for name, p in model.named_parameters():
            drawn = torch.randn(p.shape, generator=generator).to(p.device, p.dtype)
            direction[name] = _normalized(drawn, p.detach(), normalize)
        found.append(direction)
    return found


def _normalized(drawn: Tensor, like: Tensor, normalize: str) -> Tensor:
    if normalize == "none":
        return drawn
    if like.dim() < 2:
        return torch.zeros_like(like)
    axes = tuple(range(1 if normalize == "filter" else 0, like.dim()))
    lengths = [torch.linalg.vector_norm(one, dim=axes, keepdim=True) for one in (like, drawn)]
    scaled: Tensor = drawn * (lengths[0] / lengths[1].clamp_min(1e-30))
    return scaled


def between(start: Weights, end: Weights) -> dict[str, Tensor]:
    """The direction from one checkpoint to another: 0 is the first, 1 the second.

    Args:
        start: weights by name; a state dict will do.
        end: the same of the other.

    Raises:
        UsageError: they are not of one model.

    Example:
        >>> between({"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])})
        {'w': tensor([2.])}
    """
    shapes = [{name: tuple(t.shape) for name, t in one.items()} for one in (start, end)]
    if shapes[0] != shapes[1]:
        odd = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
        msg = f"The checkpoints are of different models: they disagree at {', '.join(odd[:4])}."
        raise UsageError(msg)
    moving = [name for name, tensor in start.items() if tensor.is_floating_point()]
    return {name: (end[name] - start[name]).detach() for name in moving}


class Trajectory:
    """Where a training has been: copies of a model's weights.

    Args:
        model: whose weights.
        optimizer: if given, its every step is followed, until :meth:`close`.
        every: steps from one copy to the next.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> trajectory = Trajectory(model)
        >>> trajectory.record()
        >>> len(trajectory.points), sorted(trajectory.points[0])
        (1, ['bias', 'weight'])
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None, *, every: int = 1
    ) -> None:
        self.points: list[dict[str, Tensor]] = []
        self._model, self._every, self._steps = model, every, 0
        self._hook: Any = None
        if optimizer is not None:
            self.record()
            self._hook = optimizer.register_step_post_hook(self._stepped)

    def record(self) -> None:
        """Copy the weights as they are now."""
        self.points.append({n: p.detach().clone() for n, p in self._model.named_parameters()})

    def close(self) -> None:
        """Follow the optimiser no longer."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _stepped(self, *_: Any) -> None:
        self._steps += 1
        if self._steps % self._every == 0:
            self.record()


def principal_directions(
    points: Sequence[Weights], count: int = 2
) -> tuple[list[dict[str, Tensor]], Tensor]:
    """The directions in which a trajectory varied most about its last point.

    Args:
        points: weights by name, in order; at least `count` + 1.
        count: how many directions.

    Returns:
        Directions of unit norm, and the share of the squared distance that each explains.

    Raises:
        UsageError: the points are too few, or are all the same.

    Source:
        Li et al., NeurIPS 2018, section 7.2. Random walks too have most of their variance in few
        principal components (Antognini, Sohl-Dickstein, NeurIPS 2018): look at the shares.

    Example:
        >>> steps = [{"w": torch.tensor([float(t), 2.0 * t, 0.0])} for t in range(4)]
        >>> (direction,), explained = principal_directions(steps, 1)
        >>> direction["w"].abs(), round(explained.item(), 4)
        (tensor([0.4472, 0.8944, 0.0000]), 1.0)
    """
    rows = torch.stack([_flat(point) for point in points[:-1]]) if len(points) > 1 else None
    if rows is None or len(rows) < count:
        msg = f"{count} directions need {count + 1} points of a trajectory; here are {len(points)}."
        raise UsageError(msg)
    rows = rows - _flat(points[-1])
    # through the small matrix [points, points]: weights are many
    squares, vectors = torch.linalg.eigh(rows @ rows.T)
    squares, vectors = squares.flip(0).clamp_min(0), vectors.flip(1)
    if squares[count - 1] <= 1e-6 * squares[0]:  # float32 leaves about 1e-7 of nothing
        msg = f"The trajectory does not vary in {count} directions: nothing spans a plane."
        raise UsageError(msg)
    found = (vectors[:, :count].T @ rows) / squares[:count].sqrt()[:, None]
    return [_named(one, points[-1]) for one in found], squares[:count] / squares.sum()


def project(points: Sequence[Weights], origin: Weights, directions: Sequence[Weights]) -> Tensor:
    """Coordinates [point, direction] of the nearest point of a plane.

    Args:
        points: weights by name.
        origin: where the coordinates are zero.
        directions: what spans the plane; they need not be orthogonal.

    Example:
        >>> origin, axis = {"w": torch.zeros(2)}, {"w": torch.tensor([2.0, 0.0])}
        >>> project([{"w": torch.tensor([3.0, 1.0])}], origin, [axis])
        tensor([[1.5000]])
    """
    moving = dict.fromkeys(name for direction in directions for name in direction)
    still = {name: torch.zeros_like(origin[name]) for name in moving}
    basis = torch.stack([_flat({**still, **direction}) for direction in directions])
    rows = torch.stack([_flat({name: point[name] for name in moving}) for point in points])
    offsets = rows - _flat({name: origin[name] for name in moving})
    solved = torch.linalg.lstsq((basis @ basis.T).double(), (basis @ offsets.T).double())
    coordinates: Tensor = solved.solution.T.to(basis.dtype)
    return coordinates


def _flat(weights: Weights) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in weights.values()])


def _named(flat: Tensor, like: Weights) -> dict[str, Tensor]:
    parts = torch.split(flat, [tensor.numel() for tensor in like.values()])
    return {n: part.view(like[n].shape) for n, part in zip(like, parts, strict=True)}
