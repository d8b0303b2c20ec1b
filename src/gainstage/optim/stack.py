"""Many tensors written about as if they were one, so that an update rule is written once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from gainstage.torch_private import foreach


class Stack:
    """Tensors that an operation takes all at once, by the names that it has in ``torch.Tensor``.

    An operation whose name ends in ``_`` works in place and returns the stack itself; arguments
    are numbers, or stacks of as many tensors.

    Args:
        tensors: of any shapes; one dtype and one device make it fast.

    Example:
        >>> import torch
        >>> p, g = Stack([torch.ones(2), torch.ones(1)]), Stack([torch.ones(2), torch.ones(1)])
        >>> p.add_(g, alpha=-0.5).tensors
        [tensor([0.5000, 0.5000]), tensor([0.5000])]
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)

    def __getattr__(self, name: str) -> Callable[..., Stack]:
        operation = foreach(name)

        def apply(*args: Any, **kwargs: Any) -> Stack:
            lists = (one.tensors if isinstance(one, Stack) else one for one in args)
            result = operation(self.tensors, *lists, **kwargs)
            return self if name.endswith("_") else Stack(result)

        return apply
