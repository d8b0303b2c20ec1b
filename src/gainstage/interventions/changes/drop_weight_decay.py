"""No weight decay."""

from __future__ import annotations

from contextlib import AbstractContextManager

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import during_steps


@INTERVENTIONS.register("drop-weight-decay")
def drop_weight_decay() -> AbstractContextManager[None]:
    """Set each group's decay to zero while the optimiser steps."""
    return during_steps("weight_decay", lambda _: 0.0)
