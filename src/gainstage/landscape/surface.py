"""What a surface is: a function of two coordinates with a domain, optima and a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

from gainstage.errors import UsageError
from gainstage.registry import Registry

Function: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Domain: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Surface:
    """A function of two coordinates, to be descended.

    Attributes:
        name: what it is called.
        function: from two tensors of coordinates, of any one shape, to values of that shape.
        domain: ((least x, greatest x), (least y, greatest y)) of what is worth showing.
        optima: the points of least value; a coordinate may be infinite.
        source: where it was defined.
        axes: what the coordinates are called.

    Example:
        >>> area = ((-1, 1), (-1, 1))
        >>> bowl = Surface("bowl", lambda x, y: x**2 + y**2, area, ((0, 0),), "Euclid")
        >>> bowl(torch.tensor([3.0, 4.0])), bowl.gradient(torch.tensor([3.0, 4.0]))
        (tensor(25.), tensor([6., 8.]))
    """

    name: str
    function: Function
    domain: Domain
    optima: tuple[tuple[float, float], ...]
    source: str
    axes: tuple[str, str] = ("x", "y")

    def __call__(self, points: Tensor) -> Tensor:
        """Values [...] at points [..., 2]."""
        return self.function(points[..., 0], points[..., 1])

    def gradient(self, points: Tensor) -> Tensor:
        """Gradients [..., 2] at points [..., 2], of all of them in one pass.

        Raises:
            UsageError: the surface has no gradient.
        """
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            values = self(points)
            check_gradient(self, values)
            (gradient,) = torch.autograd.grad(values.sum(), points)
        return gradient

    def map(self, size: int = 201) -> tuple[Tensor, Tensor, Tensor]:
        """The whole domain, evaluated in one call.

        Args:
            size: points along each axis.

        Returns:
            x [size], y [size] and values [size of y, size of x], as pictures have them.
        """
        x, y = (torch.linspace(low, high, size) for low, high in self.domain)
        with torch.no_grad():
            values = self.function(*torch.meshgrid(x, y, indexing="xy"))
        return x, y, values


SURFACES: Final[Registry[Surface]] = Registry("surface", "gainstage.landscape.surfaces")


def surface(
    name: str,
    *,
    domain: Domain,
    optima: Sequence[tuple[float, float]],
    source: str,
    axes: tuple[str, str] = ("x", "y"),
) -> Callable[[Function], Function]:
    """File a function of two coordinates under a name; it is returned unchanged.

    Args:
        name: to be called by.
        domain: what is worth showing, by coordinate.
        optima: the points of least value.
        source: where the function comes from.
        axes: what the coordinates are called.
    """

    def decorate(function: Function) -> Function:
        SURFACES.register(name)(Surface(name, function, domain, tuple(optima), source, axes))
        return function

    return decorate


def check_gradient(surface: Surface, values: Tensor) -> None:
    """Refuse values that do not depend on their points in a way that autograd can follow."""
    if not values.requires_grad:
        msg = (
            f"The surface {surface.name!r} has no gradient: its function rounds, compares or "
            f"detaches. Write it with differentiable torch operations."
        )
        raise UsageError(msg)
