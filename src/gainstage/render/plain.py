"""What rich prints, as plain text."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def as_text(write: Callable[[Console], None], width: int = 100) -> str:
    """What `write` prints, without colour and without the spaces and empty lines at the ends.

    In a notebook a console of rich shows what it is given at once, whatever file it writes to;
    not this one.

    Args:
        write: prints on the console that it is given.
        width: of the lines.

    Example:
        >>> as_text(lambda console: console.print("[bold]found[/bold]  "))
        'found'
    """
    from rich.console import Console  # noqa: PLC0415 - only to print

    out = io.StringIO()
    write(
        Console(
            file=out,
            width=width,
            color_system=None,
            force_terminal=False,
            force_jupyter=False,
            legacy_windows=False,
        )
    )
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").splitlines())
