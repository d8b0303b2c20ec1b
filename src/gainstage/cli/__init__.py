"""The command line: ``gainstage COMMAND``; one file a command under ``commands/``."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from difflib import get_close_matches
from typing import IO, Any

import click
from typing_extensions import override

from gainstage import __version__
from gainstage.cli import commands
from gainstage.errors import GainstageError


class Sentence(click.ClickException):
    """An error as it is told: one sentence, and exit code 2."""

    exit_code = 2

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"gainstage: {self.message}", file=file, err=file is None)


@contextlib.contextmanager
def in_one_sentence() -> Iterator[None]:
    """Turn whatever the user or the machine got wrong into one sentence."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        help_ = f" Try '{error.ctx.command_path} --help'." if error.ctx else ""
        raise Sentence(error.format_message().rstrip() + help_) from error
    except GainstageError as error:
        raise Sentence(str(error)) from error


class Commands(click.Group):
    """Finds each command in the module of its name and loads it when it is called."""

    @override
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with in_one_sentence():
            return super().make_context(*args, **kwargs)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        with in_one_sentence():
            return super().invoke(ctx)

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

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = get_close_matches(args[0], self.list_commands(ctx), n=1)
        if self.get_command(ctx, args[0]) is None and near:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gainstage")
def gainstage() -> None:
    """See, explain and fix the scales of a neural network in training."""


def main() -> None:
    """Entry point: a known error is one sentence and exit code 2, never a traceback.

    What is not known, a fault of the tool's own, is told with its traceback, and is 2 as well: 1
    would say that faults were found.
    """
    try:
        gainstage()
    except Exception:  # noqa: BLE001 - told whole
        traceback.print_exc()
        told = "This is a fault of gainstage itself; please report it with the lines above."
        click.echo(f"gainstage: {told}", err=True)
        sys.exit(2)
