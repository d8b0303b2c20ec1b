"""The command line: ``gainstage COMMAND``; one file a command under ``commands/``."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click
from typing_extensions import override

from gainstage import __version__
from gainstage.cli import commands
from gainstage.errors import GainstageError


class Commands(click.Group):
    """Finds each command in the module of its name and loads it when it is called."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{commands.__name__}.{cmd_name}")
        command: click.Command = module.command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gainstage")
def gainstage() -> None:
    """See, explain and fix the scales of a neural network in training."""


def main() -> None:
    """Entry point: a known error is one sentence and exit code 2, never a traceback."""
    try:
        gainstage()
    except GainstageError as error:
        click.echo(f"gainstage: {error}", err=True)
        sys.exit(2)
