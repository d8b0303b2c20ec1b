"""Weights drawn again by a scheme of one's own choice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import nn

from gainstage.errors import UsageError
from gainstage.init.applying import apply_
from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import around_models


@INTERVENTIONS.register("initialise")
@contextmanager
def initialise(scheme: str) -> Iterator[None]:
    """Draw the weights of every outermost module before its first forward pass.

    Each weight gets the gain that its place asks for, as by :func:`gainstage.init.apply_`; the
    draws follow the script's seed and leave its random numbers as they are. Bare tensors that no
    module owns stay as the script has made them.

    Args:
        scheme: a name of :data:`gainstage.theory.schemes.SCHEMES`.
    """
    done: WeakSet[nn.Module] = WeakSet()

    def before(root: nn.Module, inputs: tuple[Any, ...]) -> None:
        if root in done or not any(True for _ in root.parameters()):
            return
        done.update(root.modules())
        seed = torch.initial_seed() % 2**31 + 1
        try:
            apply_(root, scheme, generator=seed)
        except UsageError:  # how it is wired is seen only as it runs
            if len(inputs) != 1:
                raise
            apply_(root, scheme, generator=seed, batch=(inputs[0], None))

    with around_models(before):
        yield
