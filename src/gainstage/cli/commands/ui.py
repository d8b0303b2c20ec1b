"""``gainstage ui``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", default="runs", type=click.Path(file_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 8753, or any that is free.")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
def command(folder: str, *, port: int | None, no_browser: bool) -> None:
    """Look at the runs in FOLDER in a browser, and follow those that are still training."""
    from gainstage.errors import UsageError
    from gainstage.render.live import serve

    if folder != "runs" and not Path(folder).is_dir():
        msg = f"There is no folder {folder!r}: give one that holds runs, as --dir has them kept."
        raise UsageError(msg)
    inner = Path(folder, "runs")
    if inner.is_dir() and not any(Path(folder).glob("*.gs")):
        click.echo(f"There are no runs in {folder!r} itself: those in {str(inner)!r} are shown.")
        folder = str(inner)
    serve(folder, port=port, browser=not no_browser, tell=click.echo)
