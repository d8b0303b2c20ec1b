"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from typing_extensions import override

F = TypeVar("F", bound=Callable[..., Any])

PASS_THROUGH = {"allow_interspersed_args": False}
"""Everything after the script belongs to the script."""


class NewFile(click.Path):
    """A file to be written; its folder is looked for before any work is done."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True)

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        path = super().convert(value, param, ctx)
        home = Path(os.fsdecode(path)).parent
        if not home.is_dir():
            self.fail(f"there is no folder '{home}' to write it in.", param, ctx)
        return path


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
