"""The files of a training with several processes: one folder a run, one file a rank in it.

Every rank finds the name of the folder by itself, without a word to the others: from what the
launcher told all of them, and on one machine from which process the launcher is. So no rank waits
for another, and one that never comes holds up nobody.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

SUFFIX: Final = ".gs"
"""How the name of a run file ends."""

_FILE: Final = re.compile(r"rank(0|[1-9][0-9]{0,8})" + re.escape(SUFFIX))

_SHARED: Final = (
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
)
"""Variables that a launcher gives all ranks alike."""


class Rank(NamedTuple):
    """One process of a training with several.

    Attributes:
        number: from 0 on.
        world: how many there are.
    """

    number: int
    world: int


def rank_in(environment: Mapping[str, str]) -> Rank | None:
    """The rank that a launcher (``torchrun``) gave this process; None if it is the only one.

    Example:
        >>> rank_in({"RANK": "1", "WORLD_SIZE": "4"}), rank_in({"RANK": "0", "WORLD_SIZE": "1"})
        (Rank(number=1, world=4), None)
    """
    number, world = (environment.get(key, "") for key in ("RANK", "WORLD_SIZE"))
    if not (number.isdecimal() and world.isdecimal()) or int(number) >= int(world):
        return None
    return Rank(int(number), int(world)) if int(world) > 1 else None


def new_rank_path(folder: str | os.PathLike[str], rank: Rank, name: str = "") -> Path:
    """The run file of a rank, for example ``2026-11-22-a1b2c3d4/rank0.gs``.

    Where it exists already, for a second training under the same launcher, the folder's name gets
    a number: the first under which this rank has no file.

    Args:
        folder: where the run's folder will be.
        rank: of this process.
        name: of the run's folder; by default the one that all ranks find by themselves.
    """
    name = name or shared_name(rank, os.environ)
    for attempt in itertools.count(1):
        numbered = name if attempt == 1 else f"{name}-{attempt}"
        path = Path(folder) / numbered / f"rank{rank.number}{SUFFIX}"
        if not path.exists():
            return path
    raise AssertionError  # count() has no end


def run_name(path: Path) -> str:
    """A run's id by its file: the stem, or the name of the folder of its ranks."""
    return path.parent.name if _FILE.fullmatch(path.name) else path.stem


def rank_files(folder: Path) -> dict[int, Path]:
    """The ranks' files in the folder of one run, by rank; empty if it is no such folder."""
    try:
        found = [(_FILE.fullmatch(path.name), path) for path in folder.iterdir()]
    except OSError:
        return {}
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def shared_name(rank: Rank, environment: Mapping[str, str]) -> str:
    """A name for a run on which its ranks agree without talking.

    Args:
        rank: of this process.
        environment: as the launcher made it.
    """
    seeds = [f"{key}={environment.get(key, '')}" for key in _SHARED]
    start, prefix = "", "job"
    local, nodes = environment.get("LOCAL_WORLD_SIZE"), environment.get("SLURM_NNODES", "1")
    if local in {None, str(rank.world)} and nodes == "1":  # all on this machine
        launcher = _launcher()
        start, began = _began(launcher)
        seeds.append(f"{launcher} {start}")
        prefix = time.strftime("%Y-%m-%d", time.localtime(began)) if start else prefix
    mark = hashlib.blake2s("\n".join(seeds).encode(), digest_size=4).hexdigest()
    return f"{prefix}-{mark}"


def _launcher() -> int:
    """The process that started all ranks: the nearest ancestor that is no rank itself.

    A shell or another command may stand between it and this process; those have a rank as well.
    """
    process = os.getppid()
    try:
        while b"RANK" in dict(
            entry.partition(b"=")[::2]
            for entry in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        ):
            process = int(_stat(process)[1])
    except (OSError, ValueError, IndexError):  # another user's, or no Linux
        pass
    return process


def _stat(process: int) -> list[str]:
    """Fields of ``/proc/PID/stat`` from the third on; the second may hold spaces."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _began(process: int) -> tuple[str, float]:
    """When a process was started: ticks since the machine was, and seconds since the epoch."""
    try:
        ticks = _stat(process)[19]
        (since,) = re.findall(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
        return ticks, int(since) + int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):  # no Linux
        return "", 0.0
