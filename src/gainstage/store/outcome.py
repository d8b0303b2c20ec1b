"""How a training with several ranks went as a whole: its info, and what happened on which rank."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gainstage.recording import Recording
from gainstage.records import Event, RunInfo

_WORST_FIRST: Final = ("failed", "interrupted", "running", "stopped", "finished")


def merged_info(parts: Mapping[int, Recording]) -> RunInfo:
    """What is known of a run, from what its ranks know.

    The worst status counts. A rank that was killed says "running" for ever; the others then fail.

    Args:
        parts: the recordings by rank, at least one.
    """
    infos = {rank: part.info for rank, part in parts.items()}
    order = {status: place for place, status in enumerate(_WORST_FIRST)}
    worst, said = min(
        infos.items(), key=lambda item: (order.get(item[1].status, len(order)), item[0])
    )
    return replace(
        next(iter(infos.values())),
        started=min(info.started for info in infos.values()),
        status=said.status,
        outcome=f"rank {worst}: {said.outcome}" if said.outcome else "",
        seconds=max(info.seconds for info in infos.values()),
        probe_seconds=max(info.probe_seconds for info in infos.values()),
        rank=None,
        world=max(info.world for info in infos.values()),
    )


def merged_events(
    parts: Mapping[int, Recording], info: RunInfo, unreadable: Mapping[int, str]
) -> list[Event]:
    """The ranks' events, each once with the ranks it happened on; then which ranks are missing.

    Args:
        parts: the recordings by rank.
        info: the merged one.
        unreadable: why a rank's file cannot be read, by rank.
    """
    found: dict[str, tuple[Event, list[int]]] = {}
    for rank, part in parts.items():
        for event in part.events:
            key = json.dumps([event.step, event.code, event.site, event.data], default=str)
            found.setdefault(key, (event, []))[1].append(rank)
    events = [
        replace(event, data={**event.data, "ranks": ranks}) for event, ranks in found.values()
    ]
    ends = {rank: int(part.steps[-1]) + 1 if len(part.steps) else 0 for rank, part in parts.items()}
    furthest = max(ends.values())
    at_work = all(part.info.status == "running" for part in parts.values())
    for rank in sorted({*range(min(info.world, _MOST)), *unreadable}):
        since = ends.get(rank, 0)
        late = _BEHIND if rank in parts and at_work else 0
        if rank in unreadable or (since + late < furthest and _unfinished(parts, rank)):
            why = unreadable.get(rank, "")
            events.append(Event(since, "rank-missing", "", {"rank": rank, "reason": why}))
    return events


_BEHIND: Final = 64
"""Steps that a rank at work may be behind: it writes them a few at a time."""

_MOST: Final = 65_536
"""More ranks than any training has; a stranger's file may claim any number."""


def _unfinished(parts: Mapping[int, Recording], rank: int) -> bool:
    """Whether a rank has fewer steps without having said that this is all."""
    return rank not in parts or parts[rank].info.status != "finished"
