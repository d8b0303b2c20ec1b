"""The template of the reference optimisers: everything but the update rule.

The rule is written once, about one parameter. Parameters that have the same past are given to it
together, as a :class:`~gainstage.optim.stack.Stack`, which saves calls.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final, cast

import torch
from torch import Tensor
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.optim.stack import Stack

FITS_IN_CACHE: Final = 1 << 15
"""Elements of a parameter, on average, from which on a CPU the calls that a stack saves cost less
than the memory that its operations, each over all tensors, read anew."""


class State:
    """What an optimiser remembers of the parameters that it updates together.

    Entries are read and written as the rule does the parameters: as one tensor.

    Args:
        stores: ``optimizer.state[p]`` of each parameter.
        parameters: the parameters.
        seen: from a list of tensors to what the rule works on.
    """

    def __init__(
        self,
        stores: list[dict[str, Any]],
        parameters: list[Tensor],
        seen: Callable[[list[Tensor]], Tensor],
    ) -> None:
        self._stores, self._parameters, self._seen = stores, parameters, seen

    def __contains__(self, name: str) -> bool:
        return self._stores[0].get(name) is not None

    def __getitem__(self, name: str) -> Tensor:
        """The entry of that name; zeros of the parameter's shape if there was none."""
        if name not in self:
            for store, parameter in zip(self._stores, self._parameters, strict=True):
                store[name] = torch.zeros_like(parameter)
        return self._seen([store[name] for store in self._stores])

    def start(self, name: str, values: Tensor) -> Tensor:
        """Begin an entry with copies of `values`, for a past that does not begin with zeros."""
        many = cast(Any, values)
        tensors = many.tensors if isinstance(many, Stack) else [values]
        for store, parameter, tensor in zip(self._stores, self._parameters, tensors, strict=True):
            # a complex parameter is updated as two real ones, but kept as it is
            split = parameter.is_complex() and not tensor.is_complex()
            store[name] = torch.view_as_complex(tensor.clone()) if split else tensor.clone()
        return self[name]

    def count(self) -> int:
        """One step more: how many there have been, this one included."""
        step = int(self._stores[0].get("step", 0)) + 1
        for store in self._stores:
            store["step"] = step
        return step


class Reference(torch.optim.Optimizer):
    """An optimiser of which only the update rule is missing.

    It is a ``torch.optim.Optimizer``: parameter groups, schedulers, gradient scalers, hooks and
    state dicts work as with torch's own, and a state dict of the torch optimiser of the same name
    can be loaded into it, and the other way round. Parameters without a gradient are skipped.

    Args:
        params: parameters, or groups of them as dictionaries, as torch takes them.
        defaults: options of groups that do not set their own, by torch's names; ``lr``,
            ``weight_decay``, ``maximize`` and ``foreach`` are heeded here. ``foreach`` tells
            whether parameters are given to the rule together; None: where that is faster, which
            is everywhere but on a CPU with large parameters.

    Raises:
        UsageError: an option that must not be negative is.

    Example:
        >>> class SignDescent(Reference):
        ...     def update(self, p, g, state, group):
        ...         p.add_(g.sign(), alpha=-group["lr"])
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
        >>> optimizer = SignDescent([weight], dict(lr=0.5))
        >>> (weight**2).sum().backward()
        >>> optimizer.step()
        >>> weight.data
        tensor([ 0.5000, -0.5000])
    """

    takes_sparse: ClassVar[bool] = False
    """Whether the rule can be applied to a sparse gradient."""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay", "momentum", "eps"):
            if not defaults.get(name, 0.0) >= 0.0:
                msg = f"{name} must not be negative, and is {defaults[name]}."
                raise UsageError(msg)
        shared = {"weight_decay": 0.0, "maximize": False, "foreach": None}
        super().__init__(params, {**shared, **defaults})

    @override
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # torch's state dicts lack what torch has not
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    @abstractmethod
    def update(self, p: Tensor, g: Tensor, state: State, group: dict[str, Any]) -> None:
        """Change a parameter in place: the rule.

        Args:
            p: the parameter; in truth perhaps a stack of several, so only methods that also exist
                as ``torch._foreach_...`` may be called.
            g: its gradient, not to be changed; negated if the group maximises.
            state: what is remembered from step to step.
            group: the options.
        """

    @override
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient.

        Args:
            closure: evaluates the loss again and returns it.

        Returns:
            What the closure returned, or None.

        Raises:
            UsageError: a gradient is sparse and the rule needs a dense one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                options = {**group, "lr": float(group["lr"])}  # torch's may be a tensor
                for parameters, together in self._buckets(group):
                    self._update(parameters, together, options)
        return loss

    def _buckets(self, group: dict[str, Any]) -> Iterator[tuple[list[Tensor], bool]]:
        """The parameters that the rule may take together: of one kind, and with one past."""
        shared: dict[tuple[Any, ...], list[Tensor]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                self._check_sparse(group)
            if p.grad.is_sparse or group["foreach"] is False:
                yield [p], False
            else:
                past = self.state.get(p, {})
                begun = sum(entry is not None for entry in past.values())
                key = (p.device, p.dtype, begun, int(past.get("step", 0)))
                shared.setdefault(key, []).append(p)
        for parameters in shared.values():
            if group["foreach"] or not _walked_faster_alone(parameters):
                yield parameters, True
            else:
                yield from (([p], False) for p in parameters)

    def _update(self, parameters: list[Tensor], together: bool, group: dict[str, Any]) -> None:
        def seen(tensors: list[Tensor]) -> Tensor:
            real = [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
            return cast(Tensor, Stack(real)) if together else real[0]

        g = seen([cast(Tensor, p.grad) for p in parameters])
        state = State([self.state[p] for p in parameters], parameters, seen)
        self.update(seen(parameters), g.neg() if group["maximize"] else g, state, group)

    def _check_sparse(self, group: dict[str, Any]) -> None:
        name = type(self).__name__
        if not self.takes_sparse:
            msg = (
                f"{name} does not take sparse gradients: use SGD or torch.optim.SparseAdam, "
                f"or an embedding with sparse=False."
            )
            raise UsageError(msg)
        if group["weight_decay"]:
            msg = (
                f"{name} cannot add weight decay to a sparse gradient: "
                f"give these parameters a group with weight_decay=0."
            )
            raise UsageError(msg)


def _walked_faster_alone(parameters: list[Tensor]) -> bool:
    """Whether an operation over all of them would push the first out of the cache again."""
    elements = sum(p.numel() for p in parameters)
    return parameters[0].is_cpu and elements > FITS_IN_CACHE * len(parameters)
