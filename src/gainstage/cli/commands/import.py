"""``gainstage import``."""

from __future__ import annotations

import click

from gainstage.cli import options


@click.command()
@click.argument("logdir", type=click.Path(exists=True))
@click.option("--loss", default="", metavar="TAG", help="Tag of the loss, where it is not plain.")
@options.folder
def command(logdir: str, *, loss: str, folder: str) -> None:
    """Make run files of the TensorBoard runs under LOGDIR, for the views that they allow.

    Scalars that say loss, learning rate or gradient norm are taken, and histograms of weights,
    gradients and outputs, with the levels that follow from them.
    """
    from gainstage.foreign import import_runs

    for one in import_runs(logdir, dir=folder, loss=loss):
        click.echo(f"{one.path}  {one.steps} steps of {one.source}")
        click.echo(f"  views: {', '.join(one.views) or 'none'}")
        if one.loss:
            click.echo(f"  loss: {one.loss}")
        if one.left_out:
            more = "" if len(one.left_out) <= 8 else f", and {len(one.left_out) - 8} more"
            click.echo(f"  left out: {', '.join(one.left_out[:8])}{more}")
