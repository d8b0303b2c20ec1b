"""Parameters that no optimiser steps: the script updates them itself, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from gainstage.probe.gradients import any_left
from gainstage.probe.leaves import Leaves
from gainstage.probe.parameters import Parameters
from gainstage.probe.rates import FirstUpdate
from gainstage.probe.recorder import Recorder
from gainstage.probe.steppers import Steppers


class ByHand:
    """Keeps the leaves of a training that nobody owns, to see whether the script changed them.

    Args:
        parameters: what measures them.
        steppers: knows which ones optimisers own.
        facts: is told of what optimisers own in vain.

    Attributes:
        leaves: of the training, owned or not.
    """

    def __init__(
        self, parameters: Parameters, steppers: Steppers, facts: dict[str, Any] | None = None
    ) -> None:
        self._parameters = parameters
        self._steppers = steppers
        self._facts = {} if facts is None else facts
        self.leaves = Leaves(parameters.labels)
        self._first = FirstUpdate()
        self._held: set[str] = set()  # names, for a script may make new tensors of them

    def hold(self, grads: Sequence[tuple[Tensor, Tensor | None]]) -> None:
        """After a backward: keep the weights of leaves that no optimiser owns.

        Args:
            grads: gradients that were returned rather than accumulated, with their leaves.
        """
        owned = self._steppers.owned()
        if owned:
            self._first.forget()
        if self.leaves.ids <= owned:
            self._held = set()
            return
        returned = {id(leaf): grad for leaf, grad in grads if grad is not None}
        loose = [
            leaf
            for leaf in self.leaves.living()
            if id(leaf) not in owned
            and self._parameters.labels.is_latest(leaf)
            and returned.get(id(leaf), leaf.grad) is not None
            # beside an optimiser a bare leaf is data: an input that wants a gradient
            and (isinstance(leaf, nn.Parameter) or not owned)
        ]
        self._held = {self._parameters.labels.of(leaf).name for leaf in loose}
        if loose:
            self._parameters.before(loose, returned)
        if loose and owned and "replaced" not in self._facts:
            self._note_replaced(loose)
        if not (owned or self._first.over):
            slopes = [(leaf, returned.get(id(leaf), leaf.grad)) for leaf in loose]
            self._first.keep(
                (self._parameters.labels.of(leaf).name, leaf, grad)
                for leaf, grad in slopes
                if grad is not None
            )

    def _note_replaced(self, loose: Sequence[Tensor]) -> None:
        """Layers made after the optimiser, which holds those that they have replaced."""
        labels = self._parameters.labels
        kinds = {
            gone.shape[1:]
            for gone in labels.outside_modules(self._steppers.idle())
            if gone.dim() > 1
        }
        names = [
            labels.of(one).name
            for one in loose
            if one.dim() > 1 and one.shape[1:] in kinds and not labels.outside_modules([one])
        ]
        if names:
            self._facts["replaced"] = names

    def held(self) -> list[Tensor]:
        """Those whose weights are kept, or what has taken their place."""
        if not self._held:
            return []
        labels = self._parameters.labels
        return [leaf for leaf in self.leaves.latest() if labels.of(leaf).name in self._held]

    def were_stepped(self, held: Sequence[Tensor]) -> bool:
        """Whether the script changed any of them."""
        return any(self._parameters.changed(leaf) for leaf in held)

    def first_step(self, held: Sequence[Tensor], recorder: Recorder) -> dict[str, Any]:
        """What the first step by hand was made with, as facts; none of any other.

        A script may change its rate later, where we do not see it, and seldom does its decay.

        Args:
            held: the leaves after the step.
            recorder: gets the decay.
        """
        if self._first.over:
            return {}
        labels = self._parameters.labels
        rates = self._first.infer((labels.of(leaf).name, leaf) for leaf in held)
        if rates is None:
            return {}
        recorder.put_run(weight_decay=rates.weight_decay)
        return {"inferred": asdict(rates)}

    def are_stale(self, held: Sequence[Tensor]) -> bool:
        """Whether gradients that a step by hand has used are still there for the next."""
        return any_left(leaf for leaf in held if self._parameters.labels.is_latest(leaf))

    def over(self) -> None:
        """The step is over."""
        self._held = set()
