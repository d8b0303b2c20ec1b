"""The coordinate check: a step moves the outputs of every layer alike, whatever the width.

Under the maximal-update parametrisation it holds, so that a learning rate that was tuned on a
narrow network suits a wide one (Yang & Hu 2021; the check is appendix D.1 of Yang et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.theory.students import quantile

Verdict = Literal["stable", "grows", "shrinks", "unclear"]

LEVEL: Final = 0.95
"""Of the slopes' intervals."""

TOLERANCE: Final = 0.25
"""A slope within plus or minus this is none: doubling the size changes the step by a fifth."""


@dataclass(frozen=True, slots=True)
class Slope:
    """How the change of one module's output depends on the size of the network.

    Attributes:
        name: of the module.
        slope: of ``log(rms(output after the steps - output before))`` over ``log(size)``.
        interval: of the slope, 95 %, from all sizes and seeds.
        changes: the rms of the change, by size: a mean over the seeds.
        verdict: ``"stable"`` if the interval lies within the tolerance, ``"grows"`` or
            ``"shrinks"`` if it lies beyond, ``"unclear"`` if it lies across.
    """

    name: str
    slope: float
    interval: tuple[float, float]
    changes: Mapping[int, float]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class CoordinateCheck:
    """What came of a coordinate check; print it for the table.

    Attributes:
        slopes: one a module, in forward order.
        sizes: of the networks.
        steps: how many were made.
        tolerance: what a slope may be.
    """

    slopes: tuple[Slope, ...]
    sizes: tuple[int, ...]
    steps: int
    tolerance: float

    @property
    def passes(self) -> bool | None:
        """Whether every module is stable; None where none fails but some are unclear."""
        verdicts = {one.verdict for one in self.slopes}
        if verdicts & {"grows", "shrinks"}:
            return False
        return None if "unclear" in verdicts else True

    @override
    def __str__(self) -> str:
        told = {True: "passes", False: "fails", None: "is unclear: give more sizes or seeds"}
        wide = max(len(one.name) for one in self.slopes)
        lines = [
            f"{one.name:{wide}}  slope {one.slope:+.2f}  "
            f"({one.interval[0]:+.2f} to {one.interval[1]:+.2f})  {one.verdict}"
            for one in self.slopes
        ]
        sizes = ", ".join(map(str, self.sizes))
        head = f"coordinate check over {sizes}, {self.steps} steps: {told[self.passes]}"
        return "\n".join([head, *lines])


def coordinate_check(  # noqa: PLR0913 - by name, and few need any
    make: Callable[[int], nn.Module],
    sizes: Sequence[int],
    batch: tuple[Tensor, Tensor],
    loss_fn: Callable[[Any, Tensor], Tensor],
    *,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    steps: int = 4,
    seeds: int = 4,
    tolerance: float = TOLERANCE,
) -> CoordinateCheck:
    """Train networks of several sizes for a few steps; see whose outputs move more if it is larger.

    The global random state is left as it was.

    Args:
        make: a network of a size (its width, or its depth), drawn by torch's global generator,
            which is seeded for it.
        sizes: at least three.
        batch: inputs and targets, the same for all steps.
        loss_fn: of the network's output and the targets.
        optimizer: of a network.
        steps: before outputs are compared.
        seeds: how many networks of each size.
        tolerance: of a slope.

    Returns:
        A slope for each module without children that every network has under the same name.

    Raises:
        UsageError: there are too few sizes, nothing that all networks have moves, or `optimizer` is
            a class of optimisers.

    Example:
        >>> x, y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 1)
        >>> found = coordinate_check(
        ...     lambda width: nn.Sequential(nn.Linear(4, width), nn.Linear(width, 1)),
        ...     [64, 256, 1024], (x, y), nn.functional.mse_loss,
        ...     optimizer=lambda net: torch.optim.Adam(net.parameters(), lr=0.01), steps=2)
        >>> found.passes, found.slopes[-1].verdict
        (False, 'grows')
    """
    sizes = tuple(sizes)
    if len(set(sizes)) < 3 or min(sizes) < 1:
        msg = f"A coordinate check needs at least three sizes, each above 0, but got {sizes}."
        raise UsageError(msg)
    given: object = optimizer
    if isinstance(given, type) and issubclass(given, torch.optim.Optimizer):
        msg = (
            f"optimizer is called with the network, which {given.__name__} does not take: "
            f"write lambda net: torch.optim.{given.__name__}(net.parameters(), lr=...)."
        )
        raise UsageError(msg)
    moved: dict[str, list[tuple[int, float]]] = {}
    order: list[str] = []
    for size in sizes:
        for seed in range(seeds):
            changes = _changes(make, size, seed, batch, loss_fn, optimizer, steps)
            order = order or list(changes)
            for name, change in changes.items():
                moved.setdefault(name, []).append((size, change))
    whole = len(sizes) * seeds
    shared = [name for name in order if len(moved[name]) == whole]
    alive = [name for name in shared if all(change > 0 for _, change in moved[name])]
    if not alive:
        msg = "No module that all networks have moves its output in these steps: check make."
        raise UsageError(msg)
    slopes = tuple(_slope(name, moved[name], tolerance) for name in alive)
    return CoordinateCheck(slopes, sizes, steps, tolerance)


def _changes(
    make: Callable[[int], nn.Module],
    size: int,
    seed: int,
    batch: tuple[Tensor, Tensor],
    loss_fn: Callable[[Any, Tensor], Tensor],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    steps: int,
) -> dict[str, float]:
    """Rms of the change of each module's output over the steps, in forward order."""
    x, y = batch
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        model = make(size)
        if not isinstance(model, nn.Module):
            msg = f"make must return a torch.nn.Module, but returned {type(model).__name__}."
            raise UsageError(msg)
        stepper = optimizer(model)
        before = _outputs(model, x)
        for _ in range(steps):
            stepper.zero_grad()
            torch.autograd.backward(loss_fn(model(x), y))
            stepper.step()
        after = _outputs(model, x)
    return {
        name: float((after[name] - output).square().mean().sqrt())
        for name, output in before.items()
        if name in after and after[name].shape == output.shape
    }


@torch.no_grad()
def _outputs(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What each module without children returns at its first call, as float64."""
    found: dict[str, Tensor] = {}
    with _tapped(model, found):
        model(x)
    return found


@contextmanager
def _tapped(model: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    def tap(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                found.setdefault(name, output.detach().double())

        return hook

    leaves = [(name, one) for name, one in model.named_modules() if not any(one.children())]
    handles = [one.register_forward_hook(tap(name or "model")) for name, one in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _slope(name: str, pairs: Sequence[tuple[int, float]], tolerance: float) -> Slope:
    """Least squares in logarithms, and Student's interval of the slope."""
    x, y = np.log([size for size, _ in pairs]), np.log([change for _, change in pairs])
    around = x - x.mean()
    slope = float(around @ y / (around @ around))
    rest = y - y.mean() - slope * around
    degrees = len(x) - 2
    error = math.sqrt(float(rest @ rest) / degrees / float(around @ around))
    half = quantile(LEVEL, degrees) * error
    low, high = slope - half, slope + half
    verdict: Verdict = "unclear"
    if -tolerance <= low and high <= tolerance:
        verdict = "stable"
    elif low > tolerance:
        verdict = "grows"
    elif high < -tolerance:
        verdict = "shrinks"
    sizes = dict.fromkeys(size for size, _ in pairs)
    means = {s: float(np.mean([change for size, change in pairs if size == s])) for s in sizes}
    return Slope(name, slope, (low, high), means, verdict)
