"""How a remedy is written in the user's own file: where, and as a unified diff."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from gainstage.doctor.candidates import Change
from gainstage.doctor.site import Site
from gainstage.doctor.source import CrowdedLineError, Edit, Source
from gainstage.doctor.writers import WRITERS


def rewritten(
    changes: Sequence[Change],
    made: Mapping[str, str],
    args: Sequence[str] = (),
    *,
    rate: float = math.nan,
    optimizers: int = 1,
) -> tuple[str, str]:
    """Where a remedy is written, and a unified diff.

    Args:
        changes: all of them must be sayable for there to be a diff.
        made: ``file:line`` of the optimiser, the backward pass and the step.
        args: the script's own; what they say is not said by the file.
        rate: the learning rate of the first step; NaN if it is not known.
        optimizers: how many there are.

    Returns:
        ``file:line`` and the diff; either may be ``""``.
    """
    places = {key: _split(place) for key, place in made.items() if place}
    path, line = places.get("optimizer") or places.get("backward") or ("", 0)
    source = Source.read(Path(path)) if path else None
    if source is None:
        return "", ""
    lines = {key: at for key, (file, at) in places.items() if file == path}
    site = Site(source, lines, tuple(args), rate, optimizers)
    edits: list[Edit] = []
    try:
        for change in changes:
            found = WRITERS[change.name](change, site) if change.name in WRITERS else []
            if not found:
                return f"{source.name}:{line}", ""
            edits += found
        diff = source.diff(edits)
    except (SyntaxError, CrowdedLineError):  # what cannot be read back is not offered
        return f"{source.name}:{line}", ""
    first = min(edit.start for edit in edits)
    return f"{source.name}:{source.text.count(chr(10), 0, first) + 1}", diff


def _split(place: str) -> tuple[str, int]:
    path, _, line = place.rpartition(":")
    return path, int(line)
