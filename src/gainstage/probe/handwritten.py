"""Losses that a script writes out itself: which known one it is, and what it is measured against.

The function tap notes the parts that such losses are made of. When a backward begins, the graph
tells whether its loss is a plain mean or sum over one of them, and the numbers have to agree with
that. Where anything is in doubt, nothing is told.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from gainstage.probe import lossparts
from gainstage.probe.lossgraph import Reading, Way, is_penalty, terms_of
from gainstage.probe.lossparts import Function, Part
from gainstage.torch_private import inside_backward, node_number

CUTS: Final[frozenset[Function]] = frozenset({torch.detach, Tensor.detach})
PARTS: Final = (
    CUTS | lossparts.DIFFERENCES | lossparts.PRODUCTS | lossparts.GATHERS | lossparts.INDEXINGS
)
"""Functions whose calls may be parts of a loss, or tell that there is none."""

_LOOKS: Final = 64
"""Backwards that are looked at one after the other: small batches make a level together."""
_IN_VAIN: Final = 8
"""The same where nothing is found. Later ones are those whose number is a power of two."""
_REMEMBERED: Final = 16


class Handwritten:
    """Notes parts of losses, and reads from which of them a loss was made.

    Attributes:
        looking: whether parts are wanted: the next backward is one of those that are looked at.

    Example:
        >>> w, x, y = torch.ones(2, requires_grad=True), torch.eye(2), torch.tensor([3.0, 5.0])
        >>> written, prediction = Handwritten(), x @ w
        >>> difference = prediction - y
        >>> written.saw(torch.sub, (prediction, y), {}, difference)
        >>> found = written.read((difference**2).mean())
        >>> found.function.__name__, found.value, found.scale
        ('mse_loss', 10.0, 0.5)
    """

    def __init__(self) -> None:
        self.looking = True
        self._parts: deque[Part] = deque(maxlen=_REMEMBERED)
        self._apart = self._doubted = self._found = False
        self._cut = 0  # elements of the largest answer that was detached since
        self._root = -1  # number of the last loss's node
        self._backwards = 0

    def ran_apart(self) -> None:
        """A network ran without gradients: a constant may now be its answer, and no target."""
        self._apart = True

    def saw(self, function: Function, args: Sequence[Any], kwargs: Any, made: Tensor) -> None:
        """Take in one call of a function of :data:`PARTS`, and what it returned."""
        if inside_backward():
            return
        if function in CUTS:
            self._detached(args)
            return
        part = None
        if not lossparts.is_here(made) or made.grad_fn is None:
            return
        if function in lossparts.DIFFERENCES and not kwargs:
            part = None if self._is_residual(args) else lossparts.difference(args, made)
            if part is not None and self._may_be_an_answer(part.target):
                return
        elif function in lossparts.PRODUCTS and not kwargs:
            part = lossparts.product(args, made)
        elif function in lossparts.INDEXINGS:
            part = lossparts.indexed(args, made)
        elif function in lossparts.GATHERS:
            part = lossparts.gathered(args, kwargs, made)
        if part is not None and part.node >= 0:
            self._parts.append(part)

    def _is_residual(self, args: Sequence[Any]) -> bool:
        """Whether a target was taken away before: a constant would have to meet both."""
        known = {part.node for part in self._parts if part.operation == "Sub"}
        return any(isinstance(a, Tensor) and node_number(a.grad_fn) in known for a in args)

    def _detached(self, args: Sequence[Any]) -> None:
        whole = args[0] if args else None
        # what was made before the last backward is looked at for a report
        if isinstance(whole, Tensor) and node_number(whole.grad_fn) > self._root:
            self._cut = max(self._cut, whole.numel())

    def _may_be_an_answer(self, target: Tensor) -> bool:
        return self._apart or target.numel() <= self._cut

    def read(self, root: Tensor) -> Reading | None:
        """What loss this is; None if it is none that is known for certain.

        Args:
            root: where a backward begins.
        """
        if not self._parts or root.numel() != 1 or not lossparts.is_here(root):
            return None
        way = Way.down_from(root.grad_fn, self._parts)
        if way is None:
            found = self._beside_penalties(root.grad_fn)
        else:
            value = float(root.detach())
            found = way.reading(value)
            # weighted, by a mask or by returns: it may be anything at another step
            self._doubted = found is None and way.total > 0 and math.isfinite(value)
        self._found = self._found or found is not None
        return found

    def _beside_penalties(self, node: Any) -> Reading | None:
        """The one term of a sum that has a target, where the others are of parameters alone."""
        terms = terms_of(node)
        ways = [(term, Way.down_from(term, self._parts)) for term in terms]
        found = [way for _, way in ways if way is not None]
        if len(terms) < 2 or len(found) != 1:
            return None
        if not all(is_penalty(term) for term, way in ways if way is None):
            return None
        return found[0].reading(found[0].plain_value())

    def over(self, roots: Sequence[Tensor], *, called: bool) -> None:
        """A backward begins: forget the parts, and see whether those of the next are wanted.

        Args:
            roots: where it begins.
            called: its loss came from a loss function.
        """
        self._parts.clear()
        self._apart, self._cut = False, 0
        self._root = max((node_number(root.grad_fn) for root in roots), default=-1)
        self._backwards += 1
        following = self._backwards + 1
        all_of = _LOOKS if self._found and not called else _IN_VAIN
        often = following <= all_of or following & (following - 1) == 0
        self.looking = often and not self._doubted
