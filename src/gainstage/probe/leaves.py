"""The parameters that a training's backward passes reach, found without being told of them."""

from __future__ import annotations

import weakref
from collections.abc import KeysView, Sequence

from torch import Tensor, nn

from gainstage.probe import graph
from gainstage.probe.labels import Labels


class Leaves:
    """The leaves of the graphs seen so far, in the order of their modules; none is kept alive.

    Args:
        labels: what gives them names.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._leaves: dict[int, weakref.ref[Tensor]] = {}
        self._lost: list[object] = []  # references to those that are gone

    @property
    def ids(self) -> KeysView[int]:
        """The ``id`` of each."""
        return self._leaves.keys()

    def is_complete(self) -> bool:
        """Whether none is gone and none was noted since the last discovery."""
        return not (self._lost or self._labels.any_used)

    def discover(self, roots: Sequence[Tensor], *, thoroughly: bool, owned: bool = False) -> None:
        """Find and name the leaves of a graph, where they may be new.

        Args:
            roots: where the backward begins.
            thoroughly: walk through the graph even if no leaf is missing.
            owned: optimisers own parameters: a bare leaf beside them is data, and not missed.
        """
        self._leaves.update(self._labels.take_used())
        alive = self.living()
        if thoroughly or len(alive) < len(self._leaves):
            found = {id(leaf): leaf for leaf in (*alive, *graph.leaves(list(roots)))}
            self._labels.name_all(found.values())
            ordered = self._labels.in_order(found.values())
            lost = self._lost = []  # a reference from before may still report its loss: elsewhere
            self._leaves = {
                id(leaf): weakref.ref(leaf)
                if owned and not isinstance(leaf, nn.Parameter)
                else weakref.ref(leaf, lost.append)
                for leaf in ordered
            }

    def living(self) -> list[Tensor]:
        """Those that still exist."""
        found = (reference() for reference in self._leaves.values())
        return [leaf for leaf in found if leaf is not None]

    def latest(self) -> list[Tensor]:
        """Those of them whose name no newer tensor has taken over."""
        return [leaf for leaf in self.living() if self._labels.is_latest(leaf)]

    def clear(self) -> None:
        """Forget all of them."""
        self._leaves.clear()
