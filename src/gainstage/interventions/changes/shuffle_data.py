"""Samples in random order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from torch.utils.data import DataLoader, IterableDataset

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, replaced

_ORDER: Final = ("shuffle", "sampler", "batch_sampler")
"""What says in which order samples come, as ``DataLoader`` takes it after the size of a batch."""


@INTERVENTIONS.register("shuffle-data")
@contextmanager
def shuffle_data() -> Iterator[None]:
    """Let every ``DataLoader`` that goes through its data in their order draw them at random.

    One that has a sampler of its own, or whose data only come one after the other, is left alone.
    """

    def make(init: Function) -> Function:
        def wrapper(self: Any, dataset: Any, batch_size: Any = 1, *args: Any, **kwargs: Any) -> Any:
            given = dict(zip(_ORDER, args, strict=False)) | kwargs
            if not any(given.get(k) for k in _ORDER) and not isinstance(dataset, IterableDataset):
                args = (True, *args[1:])
                kwargs = {key: x for key, x in kwargs.items() if key != "shuffle"}
            return init(self, dataset, batch_size, *args, **kwargs)

        return wrapper

    with replaced(DataLoader, "__init__", make):
        yield
