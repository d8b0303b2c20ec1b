"""Less momentum."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import during_steps


@INTERVENTIONS.register("damp-momentum")
@contextmanager
def damp_momentum(most: float = 0.9) -> Iterator[None]:
    """Hold momentum, or the first beta of Adam and its kin, to a bound while an optimiser steps.

    Args:
        most: what is let through.
    """

    def betas(given: Any) -> Any:
        return (min(given[0], most), *given[1:])

    with during_steps("momentum", lambda old: min(old, most)), during_steps("betas", betas):
        yield
