"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

PASS_THROUGH = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Everything after the script belongs to the script."""

folder = click.option(
    "--dir",
    "folder",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder of run files.",
)

module = click.option(
    "-m", "--module", is_flag=True, help="Run a module, as python -m does; SCRIPT is its name."
)


def target(command: F) -> F:
    """Add the script and its arguments."""
    command = click.argument("args", nargs=-1, type=click.UNPROCESSED)(command)
    return click.argument("script")(command)
