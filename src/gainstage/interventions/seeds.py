"""Another seed for a script that seeds itself: each seed that it sets is shifted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
import torch

from gainstage.interventions.patching import Function, replaced

STRIDE: Final = 100_003
"""Distance of the seeds of two trials: scripts often use neighbouring seeds side by side."""

_SEEDS: Final = 2**32
"""How many numpy knows."""


@contextmanager
def shifted(seed: int) -> Iterator[None]:
    """Shift what the script hands to the seeding functions of torch, numpy and ``random``.

    A script that never seeds gets its first seeds here, so trials of one seed are alike.

    Args:
        seed: number of the trial's seed; 0 leaves the script's own seeds as they are.

    Example:
        >>> with shifted(1):
        ...     _ = torch.manual_seed(0)
        ...     torch.initial_seed()
        100003
    """
    shift = seed * STRIDE

    def shifting(original: Function) -> Function:
        def moved(seed: Any) -> Any:
            whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
            return (int(seed) + shift) % _SEEDS if whole and shift else seed

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given = kwargs.keys() & {"seed", "a"}
            named: dict[str, Any] = {key: moved(kwargs[key]) for key in given}
            kwargs.update(named)
            return original(*map(moved, args[:1]), *args[1:], **kwargs)

        return wrapper

    class Generator(torch.Generator):
        """One that is seeded as everything else is."""

        def manual_seed(self, seed: int) -> torch.Generator:
            return super().manual_seed(seed + shift)

    with ExitStack() as stack:
        for owner, name in (
            (torch, "manual_seed"),
            (torch.random, "manual_seed"),
            (torch.cuda, "manual_seed"),
            (torch.cuda, "manual_seed_all"),
            (np.random, "seed"),
            (np.random, "default_rng"),
            (random, "seed"),
        ):
            stack.enter_context(replaced(owner, name, shifting))
        if shift:  # a class is replaced as it is: a wrapper could not be subclassed
            stack.callback(setattr, torch, "Generator", torch.Generator)
            torch.Generator = Generator  # type: ignore[misc]
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 - scripts draw from the old generator
        random.seed(0)
        yield
