"""Samples in random order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from gainstage.interventions.intervention import INTERVENTIONS
from gainstage.interventions.patching import Function, own_randomness, replaced

_ORDER: Final = ("shuffle", "sampler", "batch_sampler")
"""What says in which order samples come, as ``DataLoader`` takes it after the size of a batch."""

SHARE: Final = 0.5
"""A slice of more than that of a tensor is no batch: it parts training from test."""


@INTERVENTIONS.register("shuffle-data")
@contextmanager
def shuffle_data() -> Iterator[None]:
    """Let every ``DataLoader`` that goes through its data in their order draw them at random.

    One that has a sampler of its own, or whose data only come one after the other, is left alone.
    Batches that are made by hand (``x[i : i + 32]``, ``x.split(32)``) hold other rows than the
    script says: all tensors of one length are permuted alike, whichever holds inputs and targets.
    """
    orders: dict[int, Tensor] = {}

    def order(x: Tensor) -> Tensor:
        """In which the rows of all tensors of that length come."""
        if len(x) not in orders:
            with own_randomness():
                orders[len(x)] = torch.randperm(len(x))
        return orders[len(x)].to(x.device)

    def slices(getitem: Function) -> Function:
        def wrapper(x: Tensor, key: Any) -> Any:
            if isinstance(key, slice) and _is_data(x) and _is_batch(key, len(x)):
                return x.index_select(0, getitem(order(x), key))
            return getitem(x, key)

        return wrapper

    def parts(split: Function) -> Function:
        def wrapper(x: Tensor, size: Any, dim: int = 0) -> Any:
            if dim == 0 and isinstance(size, int) and _is_data(x):
                x = x.index_select(0, order(x))
            return split(x, size, dim)

        return wrapper

    with ExitStack() as stack:
        stack.enter_context(replaced(DataLoader, "__init__", _shuffling))
        stack.enter_context(replaced(Tensor, "__getitem__", slices))
        stack.enter_context(replaced(Tensor, "split", parts))  # which torch.split calls
        yield


def _shuffling(init: Function) -> Function:
    def wrapper(self: Any, dataset: Any, batch_size: Any = 1, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(_ORDER, args, strict=False)) | kwargs
        if not any(given.get(k) for k in _ORDER) and not isinstance(dataset, IterableDataset):
            args = (True, *args[1:])
            kwargs = {key: x for key, x in kwargs.items() if key != "shuffle"}
        return init(self, dataset, batch_size, *args, **kwargs)

    return wrapper


def _is_data(x: Tensor) -> bool:
    """Whether a tensor has rows, and no network has made it."""
    return x.dim() > 0 and not x.requires_grad


def _is_batch(key: slice, rows: int) -> bool:
    """Whether a slice takes rows that lie beside each other, and a small part of all."""
    start, stop, step = key.indices(rows)
    return step == 1 and 1 < stop - start <= SHARE * rows
