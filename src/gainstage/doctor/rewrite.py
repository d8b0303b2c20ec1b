"""How a remedy is written in the user's own file: where, and as a unified diff."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gainstage.doctor.candidates import Change, Patch
from gainstage.doctor.site import Site
from gainstage.doctor.source import CrowdedLineError, Edit, Source
from gainstage.doctor.writers import WRITERS


class Rewriting(NamedTuple):
    """How a remedy is written.

    Attributes:
        where: ``file:line``, or ``""``.
        diff: a unified diff, or ``""``.
        patch: the file that it makes, if there is a diff.
    """

    where: str = ""
    diff: str = ""
    patch: Patch | None = None


def rewritten(
    changes: Sequence[Change],
    made: Mapping[str, str],
    args: Sequence[str] = (),
    *,
    rate: float = math.nan,
    optimizers: int = 1,
) -> Rewriting:
    """Where a remedy is written, and a unified diff.

    Args:
        changes: all of them must be sayable for there to be a diff.
        made: ``file:line`` of the optimiser, the backward pass and the step.
        args: the script's own; what they say is not said by the file.
        rate: the learning rate of the first step; NaN if it is not known.
        optimizers: how many there are.

    Returns:
        ``file:line``, the diff, and the file that it makes; the first two may be ``""``.
    """
    places = {key: _split(place) for key, place in made.items() if place}
    path, line = places.get("optimizer") or places.get("backward") or ("", 0)
    source = Source.read(Path(path)) if path else None
    if source is None:
        return Rewriting()
    lines = {key: at for key, (file, at) in places.items() if file == path}
    site = Site(source, lines, tuple(args), rate, optimizers)
    edits: list[Edit] = []
    try:
        for change in changes:
            found = WRITERS[change.name](change, site) if change.name in WRITERS else []
            if not found:
                return Rewriting(f"{source.name}:{line}")
            edits += found
        diff = source.diff(edits)
    except (SyntaxError, CrowdedLineError):  # what cannot be read back is not offered
        return Rewriting(f"{source.name}:{line}")
    first = min(edit.start for edit in edits)
    row = source.text.count(chr(10), 0, first) + 1
    return Rewriting(f"{source.name}:{row}", diff, Patch(path, source.with_edits(edits)))


def _split(place: str) -> tuple[str, int]:
    path, _, line = place.rpartition(":")
    return path, int(line)
