"""Several processes: which one this is, what of a tensor it holds, and where its run file goes.

Nothing here, nor anywhere in the probe, issues a collective: a rank that skips a step or dies
would leave the others waiting in it for ever.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gainstage.records import Merge
from gainstage.store import Rank, new_rank_path, new_run_path, rank_in
from gainstage.torch_private import default_store

_PATIENCE: Final = timedelta(seconds=5)
"""How long a rank waits for the name that rank 0 gives a run."""

_ORDINARY: Final = frozenset({Tensor, nn.Parameter})
_KEY: Final = "gainstage/run"

_named = 0
"""Runs of this process whose names were asked for."""


def this_rank() -> Rank | None:
    """The rank of this process: by torch.distributed, else by its launcher; None if it is alone."""
    if dist.is_available() and dist.is_initialized():
        rank = Rank(dist.get_rank(), dist.get_world_size())
        return rank if rank.world > 1 else None
    return rank_in(os.environ)


def run_path(folder: str | os.PathLike[str], rank: Rank | None) -> Path:
    """A new run file for this process, in a folder on whose name all ranks agree.

    Every rank has a name that it found by itself, and takes that of rank 0 if it can be had from
    the process group's key-value store. Asking there is no collective: rank 0 leaves the name and
    goes on; the others look for it, and after five seconds go by their own.

    Args:
        folder: where runs are kept.
        rank: of this process, None if it is alone.
    """
    if rank is None:
        return new_run_path(folder)
    global _named  # noqa: PLW0603 - the n-th run of one rank is the n-th of every rank
    _named += 1
    path = new_rank_path(folder, rank)
    store = default_store() if dist.is_available() and dist.is_initialized() else None
    with suppress(RuntimeError, ValueError):  # the store is gone, or nobody left a name in time
        if store is not None and rank.number == 0:
            store.set(f"{_KEY}/{_named}", path.parent.name)
        elif store is not None:
            store.wait([f"{_KEY}/{_named}"], _PATIENCE)
            name = store.get(f"{_KEY}/{_named}").decode()
            return new_rank_path(folder, rank, name)
    return path


def merge_of(tensor: Tensor, plain: Merge = "same") -> Merge:
    """How the ranks add up that hold a tensor: shards do, copies do not.

    On a mesh that also replicates, the ranks of the first replica hold the parts.

    Args:
        tensor: a DTensor, or any other.
        plain: the answer for any other.
    """
    placements: Any = getattr(tensor, "placements", None)
    if placements is None:
        return plain
    where = tensor.device_mesh.get_coordinate() or ()  # type: ignore[attr-defined]  # a DTensor
    copies = [p.is_replicate() for p in placements]
    second = any(copy and place > 0 for copy, place in zip(copies, where, strict=False))
    return "same" if second or all(copies) else "sum"


def is_distributed(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor: its shape is the whole's, its memory this process's shard."""
    return type(tensor) not in _ORDINARY and hasattr(tensor, "to_local")


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: of a DTensor its shard, which may be empty."""
    if not is_distributed(tensor):
        return tensor
    with torch.no_grad():
        shard: Tensor = tensor.detach().to_local()  # type: ignore[attr-defined]  # a DTensor
    return shard
