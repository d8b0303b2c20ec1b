"""``gainstage lab``."""

from __future__ import annotations

import sys

import click


@click.group()
def command() -> None:
    """The classic experiments, reproduced on real data beside their published figures."""


@command.command(name="list")
def list_() -> None:
    """List the experiments and their parameters."""
    from dataclasses import fields

    from rich.console import Console
    from rich.table import Table

    from gainstage.lab import EXPERIMENTS

    table = Table("", "name", "what it shows", "parameters", box=None)
    for _, one in sorted(EXPERIMENTS.items(), key=lambda pair: pair[1].number):
        parameters = ", ".join(f"{field.name}={field.default}" for field in fields(one.options))
        table.add_row(str(one.number), one.name, one.title, parameters)
    Console().print(table)


@command.command()
@click.argument("name")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change a parameter.")
@click.option("--quick", is_flag=True, help="A short run; what it cannot show is not judged.")
@click.option("--dir", "folder", default="runs/lab", show_default=True, help="For its files.")
def run(name: str, *, pairs: tuple[str, ...], quick: bool, folder: str) -> None:
    """Run the experiment NAME (or of that number) and compare it with what was published.

    Exit code 1 if a figure lies outside of what agrees.
    """
    from rich.console import Console
    from rich.table import Table

    from gainstage.errors import UsageError
    from gainstage.lab import run as run_experiment
    from gainstage.lab.runner import cells

    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            msg = f"A parameter is set by KEY=VALUE, and not by {pair!r}."
            raise UsageError(msg)
        options[key] = value
    output = run_experiment(name, options, quick=quick, folder=folder)
    table = Table("", "kind", "published", "measured", "inside?", box=None)
    for row in output.rows:
        table.add_row(*(text.replace("[", r"\[") for text in cells(row)))
    Console().print(table)
    click.echo("kind: D deterministic, C chaotic though seeded, R random")
    for file in output.files:
        click.echo(file)
    sys.exit(0 if all(row.inside for row in output.rows if row.asked) else 1)
