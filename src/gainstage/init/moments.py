"""What is predicted of a tensor: first and second moments, and what they are propagated by.

A tensor's elements count as Gaussian, alike over units, independent between units given the
sample; weights count as independent draws with the mean and variance that the actual weight has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from gainstage.registry import Registry


class UnknownFormError(Exception):
    """A call is of a form that its rule of propagation does not know: what was measured stands."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Predicted moments of a tensor.

    The gradient's come by a trick: the second moment of a gradient goes back through a network of
    independent random weights by a linear map. ``flow`` (and ``flow_pair``) is a tensor of zeros
    that each rule passes forward by the transpose of that map, so torch's own backward pass
    through it is the propagation of the gradient's second moment.

    Attributes:
        mean: of each element, over the weights' randomness: the tensor's shape.
        second: second moment of each element: the tensor's shape; axes along which elements are
            alike are expanded, with stride 0.
        samples: E x x' for two samples, same unit and position: [BINS]. Pairs are sorted into bins
            of equal number by how alike they are in the model's input.
        positions: E x x' for two positions of a sample, same unit, averaged: a scalar.
        flow: carries the gradient's second moment back: the tensor's shape.
        flow_pair: carries the covariance of two samples' gradients back: [BINS].
        spread: variance of the logarithm of the level's square between seeds, inherited.
        own_spread: what this tensor's finite number of units adds to that.
        before: of an elementwise function's result, the function and the moments it was given.
        kept: where an attention mask lets pass: a tensor of 0 and 1, or None.
        crude: whether the rules that led here are known to be rough.
    """

    mean: Tensor
    second: Tensor
    samples: Tensor
    positions: Tensor
    flow: Tensor
    flow_pair: Tensor
    spread: float = 0.0
    own_spread: float = 0.0
    before: tuple[Callable[[Tensor], Tensor], Moments] | None = None
    kept: Tensor | None = None
    crude: bool = False

    @property
    def variance(self) -> Tensor:
        """Of each element: the tensor's shape."""
        return alike(lambda q, m: (q - m**2).clamp_min(0.0), self.second, self.mean)

    @property
    def power(self) -> Tensor:
        """The second moment over all elements: a scalar."""
        return self.second.mean()

    @property
    def centre(self) -> Tensor:
        """The mean over all elements: a scalar."""
        return self.mean.mean()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(self.second.shape)

    def but(self, **changes: Any) -> Moments:
        """The same with some fields changed; what came before, and a mask, is forgotten."""
        return replace(self, **{"before": None, "kept": None, **changes})

    def shaped(self, function: Callable[[Tensor], Tensor]) -> Moments:
        """With a function that only moves elements applied to what has the tensor's shape."""
        flow = function(self.flow)
        share = flow.numel() / max(self.flow.numel(), 1)
        return self.but(
            mean=function(self.mean),
            second=function(self.second),
            flow=flow,
            flow_pair=self.flow_pair * share,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """A call on the tape, with moments in the place of tensors.

    Attributes:
        function: what was called.
        args: positional arguments.
        kwargs: keyword arguments.
        item: which of several results is meant.
        shape: of the result.
        training: whether the module that made the call is in training mode.
        samples: size of the batch.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    item: int
    shape: tuple[int, ...]
    training: bool
    samples: int

    def signal(self, position: int, name: str) -> Moments:
        """An argument that depends on the input; UnknownFormError if it does not."""
        value = self.argument(position, name)
        if not isinstance(value, Moments):
            raise UnknownFormError
        return value

    def weight(self, position: int, name: str) -> Tensor:
        """A tensor that does not depend on the input; UnknownFormError if it is none."""
        value = self.argument(position, name)
        if not isinstance(value, Tensor):
            raise UnknownFormError
        return value

    def operands(self) -> tuple[Any, Any]:
        """Both sides of a binary operation; UnknownFormError if neither depends on the input."""
        one = self.argument(0, "input")
        two = self.argument(1, "other", self.kwargs.get("mat2"))
        if not isinstance(one, Moments) and not isinstance(two, Moments):
            raise UnknownFormError
        return one, two

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument, however it was passed."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)


Rule: TypeAlias = Callable[[Call], Moments]
"""Raises UnknownFormError where a call is of a form that it does not know."""

BINS: Final = 16
_MOST_SAMPLES: Final = 1024

RULES: Final[Registry[Rule]] = Registry("propagation", "gainstage.init.propagation")
"""How moments pass through a function, by the function's name without underscores."""


def propagates(*names: str) -> Callable[[Rule], Rule]:
    """File a function as the rule for the torch functions of these names."""

    def decorate(rule: Rule) -> Rule:
        for name in names:
            RULES.register(name)(rule)
        return rule

    return decorate


def measured(tensor: Tensor, flow: Tensor | None = None) -> Moments:
    """Moments of an actual tensor: each element is its own mean.

    Args:
        tensor: [samples, ...].
        flow: as in :class:`Moments`; zeros that require a gradient if not given.
    """
    wide = tensor.detach().double().cpu()
    if flow is None:
        flow = no_flow(wide.shape)
    return Moments(
        mean=wide,
        second=wide**2,
        samples=by_bins(likeness(wide), likeness(wide)),
        positions=torch.stack([pair_mean(wide, axis) for axis in position_axes(wide)]).mean()
        if position_axes(wide)
        else wide.square().mean(),
        flow=flow,
        flow_pair=no_flow((BINS,)),
    )


def no_flow(shape: Sequence[int]) -> Tensor:
    """A flow that begins here."""
    return torch.zeros(tuple(shape), dtype=torch.float64, requires_grad=True)


def likeness(x: Tensor) -> Tensor:
    """The mean product of each pair of samples over their elements: [pairs].

    Args:
        x: [samples, ...]; of very many the first ones stand for all.
    """
    rows = x.detach().double().cpu().reshape(len(x), -1)[:_MOST_SAMPLES]
    upper = torch.triu_indices(len(rows), len(rows), 1)
    products = rows @ rows.T / max(rows.shape[1], 1)
    found = products[upper[0], upper[1]]
    return found if len(found) else products.diagonal()


def by_bins(values: Tensor, likeness_in: Tensor) -> Tensor:
    """Means of values of pairs over bins of their likeness: [BINS].

    Args:
        values: [pairs].
        likeness_in: by which they are sorted: [pairs].

    Example:
        >>> by_bins(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 1.0]))[:2]
        tensor([2., 2.], dtype=torch.float64)
    """
    wide = values.double()
    if len(wide) < BINS:
        return wide.mean().expand(BINS)
    return torch.stack([part.mean() for part in wide[likeness_in.argsort()].tensor_split(BINS)])


def pair_mean(x: Tensor, axis: int) -> Tensor:
    """Mean of the product of two different elements along an axis: a scalar.

    Example:
        >>> float(pair_mean(torch.tensor([[1.0], [2.0], [3.0]]), 0))  # (2 + 3 + 6) / 3
        3.6666666666666665
    """
    n = x.shape[axis]
    if n < 2:
        return x.square().mean()
    total = x.sum(axis)
    return (total.square() - x.square().sum(axis)).mean().double() / (n * (n - 1))


def position_axes(x: Tensor) -> tuple[int, ...]:
    """The axes that number positions: of images the last ones, of sequences the second."""
    if x.dim() >= 4:
        return tuple(range(2, x.dim()))
    return (1,) if x.dim() == 3 else ()


def is_alike(x: Tensor, axis: int) -> bool:
    """Whether elements along an axis are alike by construction: its units."""
    return x.shape[axis] > 1 and x.stride(axis) == 0


def core(x: Tensor) -> Tensor:
    """One of each set of elements that are alike by construction: size 1 along those axes."""
    for axis in range(x.dim()):
        if is_alike(x, axis):
            x = x.narrow(axis, 0, 1)
    return x


def alike(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """An elementwise function, computed once for each set of elements that are alike.

    Args:
        function: from tensors to one of their common shape.
        tensors: that can be broadcast together.

    Example:
        >>> wide = torch.ones(3, 1).expand(3, 1000)
        >>> alike(lambda a: 2 * a, wide).stride()
        (1, 0)
    """
    shape = torch.broadcast_shapes(*(t.shape for t in tensors))  # type: ignore[no-untyped-call]
    return function(*map(core, tensors)).expand(shape)


def constant_of(value: Any) -> tuple[Any, Any]:
    """A constant and its square, as float64 where it is a tensor."""
    if isinstance(value, Tensor):
        wide = value.detach().double().cpu()
        return wide, wide**2
    return value, value**2
