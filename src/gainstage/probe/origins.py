"""Where in the user's own code something was made or called."""

from __future__ import annotations

import sys
import sysconfig
from typing import Any, Final

from gainstage.probe.tracebacks import OURS

_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def note(facts: dict[str, Any], what: str) -> None:
    """Keep, under ``made``, where in the user's code the first of its kind was."""
    made = facts.setdefault("made", {})
    if what not in made:
        made[what] = users_line()


def users_line() -> str:
    """``file:line`` of the innermost frame that is neither a library's nor ours.

    Returns:
        The place; ``""`` if all of the calling code is in libraries.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - a stack of summaries would read every source file
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((OURS, "<", *_LIBRARIES)):
            return f"{file}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
