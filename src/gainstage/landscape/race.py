"""Several optimisers from the same starts on one surface."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.landscape.surface import SURFACES, Surface, check_gradient

Factory: TypeAlias = Callable[[list[torch.nn.Parameter]], Any]
"""From parameters to an optimiser: ``lambda p: torch.optim.SGD(p, lr=0.1)``."""


@dataclass(frozen=True, slots=True, repr=False)
class Race:
    """Where each optimiser went.

    Attributes:
        surface: what they descended.
        names: of the optimisers, in order.
        trajectories: [optimiser, start, step, 2], each point before its update; NaN from where a
            trajectory has left the finite numbers.
        values: [optimiser, start, step] of the surface there.
    """

    surface: Surface
    names: tuple[str, ...]
    trajectories: Tensor
    values: Tensor

    @override
    def __repr__(self) -> str:
        """What became of each optimiser, in one line each."""
        lines = [f"<Race on {self.surface.name!r}: {', '.join(map(str, self._counts()))}>"]
        ends = self.values[:, :, -1].amin(1)
        for name, end, lost in zip(self.names, ends, self.diverged.sum(1), strict=True):
            left = f", {int(lost)} left the finite numbers" if lost else ""
            lines.append(f"  {name}: ends at {float(end):.4g}{left}")
        return "\n".join(lines)

    def _counts(self) -> tuple[str, str]:
        _, starts, steps, _ = self.trajectories.shape
        return f"{starts} start" + "s" * (starts > 1), f"{steps} steps"

    @property
    def diverged(self) -> Tensor:
        """[optimiser, start]: whether coordinates or values left the finite numbers."""
        return ~(self.trajectories.isfinite().all(-1) & self.values.isfinite()).all(-1)

    def steps_to_optimum(self, radius: float | None = None) -> Tensor:
        """[optimiser, start]: the step from which on it stays near an optimum; -1 if it does not.

        Args:
            radius: how near; by default a hundredth of the domain's diagonal. A coordinate in
                which the optimum is at infinity does not count.
        """
        if radius is None:
            radius = (
                0.01
                * torch.tensor(self.surface.domain, dtype=torch.float64).diff(dim=1).norm().item()
            )
        near = self._from_optima().norm(dim=-1).amin(-1) <= radius
        staying = near.flip(-1).cummin(-1).values.flip(-1)
        return torch.where(staying.any(-1), staying.int().argmax(-1), -1)

    def sign_flips(self) -> Tensor:
        """[optimiser, start, 2]: how often each coordinate's movement turned round."""
        moves = self.trajectories.diff(dim=2)
        return (moves[:, :, 1:] * moves[:, :, :-1] < 0).sum(2)

    def overshoot(self) -> Tensor:
        """[optimiser, start]: how far past the optimum nearest to its end it went.

        As a share of the way from the start, measured along that way; 0 if it never passed.
        """
        offsets = self._from_optima().nan_to_num(nan=torch.inf)
        nearest = offsets[:, :, -1].norm(dim=-1).argmin(-1)[:, :, None, None, None]
        offsets = offsets.take_along_dim(nearest, 3).squeeze(3)
        way = -offsets[:, :, :1]
        past = (offsets * way).sum(-1) / (way * way).sum(-1).clamp_min(1e-30)
        return past.amax(-1).clamp_min(0)

    def save(self, path: str | os.PathLike[str], size: int = 121) -> None:
        """Keep the race, and a map of its surface, as a NumPy archive, for the page to show.

        Args:
            path: of a file that ends in ``.npz``.
            size: points of the map along each axis.
        """
        x, y, values = self.surface.map(size)
        np.savez_compressed(
            path,
            x=x.numpy(),
            y=y.numpy(),
            values=values[None].numpy(),
            names=[self.surface.name],
            axes=list(self.surface.axes),
            paths=self.trajectories.flatten(0, 1).numpy(),
            heights=self.values.flatten(0, 1).numpy(),
            path_names=[name for name in self.names for _ in range(self.trajectories.shape[1])],
        )

    def _from_optima(self) -> Tensor:
        """[optimiser, start, step, optimum, 2]: offsets, 0 where the optimum is at infinity."""
        optima = torch.tensor(self.surface.optima, dtype=self.trajectories.dtype)
        offsets = self.trajectories[:, :, :, None] - optima
        return torch.where(optima.isinf(), torch.zeros(()), offsets)


def race(
    surface: str | Surface,
    optimizers: Mapping[str, Factory],
    start: Sequence[float] | Sequence[Sequence[float]] | Tensor,
    steps: int = 100,
) -> Race:
    """Let several optimisers descend one surface from the same starts.

    Each start is a parameter of its own, so that optimisers that look at a whole parameter (its
    norm, its history) do not mix starts; those that need a closure run once a start. A
    trajectory that leaves the finite numbers stops there, and the others go on.

    Args:
        surface: by name, or your own.
        optimizers: by name, a function from parameters to a torch optimiser, or anything with a
            ``step`` that reads ``.grad``.
        start: one point, or many [start, 2].
        steps: points to record; each is recorded before its update.

    Returns:
        The trajectories, and what can be measured of them.

    Raises:
        UnknownNameError: there is no surface of that name.
        UsageError: the surface has no gradient, or an argument makes no sense.

    Example:
        >>> import gainstage as gs
        >>> result = race("saddle", {"SGD": lambda p: gs.optim.SGD(p, lr=0.1)}, (1.0, 0.1))
        >>> result.trajectories.shape, result.steps_to_optimum().item() < 100
        (torch.Size([1, 1, 100, 2]), True)
    """
    if isinstance(surface, str):
        surface = SURFACES[surface]
    starts = torch.as_tensor(start, dtype=torch.get_default_dtype()).detach()
    starts = starts.unsqueeze(0) if starts.dim() == 1 else starts
    if starts.dim() != 2 or starts.shape[1] != 2 or not len(starts):
        msg = f"A start is two numbers, or a tensor [starts, 2]; this one is {list(starts.shape)}."
        raise UsageError(msg)
    if steps < 1 or not optimizers:
        msg = f"A race needs a step and an optimiser; here are {steps} and {len(optimizers)}."
        raise UsageError(msg)
    paths = torch.stack([_paths(surface, make, starts, steps) for make in optimizers.values()])
    with torch.no_grad():
        return Race(surface, tuple(optimizers), paths, surface(paths))


def _paths(surface: Surface, make: Factory, starts: Tensor, steps: int) -> Tensor:
    """[start, step, 2] of one optimiser."""
    parameters: list[Any] = [torch.nn.Parameter(point.clone()) for point in starts]
    if len(parameters) > 1 and _needs_closure(make(parameters)):
        return torch.cat([_paths(surface, make, point[None], steps) for point in starts])
    optimizer = make(parameters)
    by_closure = _needs_closure(optimizer)

    def closure() -> Tensor:
        with torch.enable_grad():
            points = torch.stack(parameters)
            values = surface(points)
            check_gradient(surface, values)
            gradients = torch.autograd.grad(values.sum(), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            # without a gradient an optimiser leaves a parameter alone
            parameter.grad = gradient if gradient.isfinite().all() else None
        return values.sum().detach()

    path = torch.empty(len(starts), steps, 2)
    for step in range(steps):
        path[:, step] = torch.stack(parameters).detach()
        closure()
        if by_closure:
            optimizer.step(closure)
        else:
            optimizer.step()
    return torch.where(path.isfinite().all(-1, keepdim=True), path, torch.nan)


def _needs_closure(optimizer: Any) -> bool:
    parameters = inspect.signature(type(optimizer).step).parameters
    return "closure" in parameters and parameters["closure"].default is inspect.Parameter.empty
