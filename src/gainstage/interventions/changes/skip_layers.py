"""A way past each hidden layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from gainstage.interventions.hidden import ACTIVATIONS, RECTIFIERS, hidden_activations
from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function


@INTERVENTIONS.register("skip-layers")
@contextmanager
def skip_layers() -> Iterator[None]:
    """Add to what each hidden activation gives what the one before it gave, where shapes agree.

    So the layers between them are passed by: h <- h + activation(layer(h)) (He, Zhang, Ren & Sun,
    "Deep residual learning for image recognition", 2016, equation 1), in a network that is not
    made of blocks. Sigmoids are left out: most are gates, and a gate opens to 1 at most.
    """
    layers = {owner: [n for n in names if n != "sigmoid"] for owner, names in ACTIVATIONS.items()}
    before: Tensor | None = None

    def begin() -> None:
        nonlocal before
        before = None

    def added(activation: Function, x: Tensor) -> Any:
        nonlocal before
        given = activation(x)
        fits = before is not None and (before.shape, before.dtype) == (given.shape, given.dtype)
        before = given + before if fits else given
        return before

    with hidden_activations(layers, added, first=RECTIFIERS, begin=begin):
        yield
