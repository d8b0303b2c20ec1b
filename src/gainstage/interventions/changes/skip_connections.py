"""A way past each block of a deep network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models

DEEP: Final = 4
"""Blocks of one class in a list that make a deep network."""


@INTERVENTIONS.register("skip-connections")
@contextmanager
def skip_connections() -> Iterator[None]:
    """Add to the output of each block its input, where they are of one shape.

    Blocks are modules made of others, at least four of one class in a list or a sequence.
    """
    seen: WeakSet[nn.Module] = WeakSet()
    handles: list[RemovableHandle] = []

    def passed(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        del module
        first = inputs[0] if inputs else None
        if isinstance(first, Tensor) and isinstance(output, Tensor):
            return output + first if first.shape == output.shape else None
        return None

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        del inputs
        if root in seen:
            return
        seen.add(root)
        for container in root.modules():
            if isinstance(container, (nn.ModuleList, nn.Sequential)):
                handles.extend(one.register_forward_hook(passed) for one in blocks(container))

    try:
        with around_models(before):
            yield
    finally:
        for handle in handles:
            handle.remove()


def blocks(container: nn.ModuleList | nn.Sequential) -> list[nn.Module]:
    """The members of a list that are blocks of the class that most of them are of."""
    kinds = [type(one) for one in container if any(True for _ in one.children())]
    most = max(set(kinds), key=kinds.count, default=None)
    if most is None or kinds.count(most) < DEEP:
        return []
    return [one for one in container if type(one) is most]
