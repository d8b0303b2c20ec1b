"""``gainstage merge``."""

from __future__ import annotations

import click

from gainstage.cli import options


@click.command()
@click.argument("run", default="latest")
@click.option("-o", "--output", type=options.NewFile(), help="The new file; by default RUN.gs.")
@click.option("--anyway", is_flag=True, help="Also if the run has not ended, or was killed.")
@options.folder
def command(run: str, *, output: str | None, anyway: bool, folder: str) -> None:
    """Write the ranks of RUN as one file, as large as that of a single process.

    The ranks' own files stay; remove their folder to be rid of them.
    """
    from gainstage.errors import UsageError
    from gainstage.store import find_run, merge_run, open_recording

    path = find_run(folder, run)
    if path.is_file():
        msg = f"The run '{path}' is one file already: there is nothing to merge."
        raise UsageError(msg)
    if open_recording(path).info.status == "running" and not anyway:
        msg = f"The run '{path}' has not ended, or was killed: merge it with --anyway."
        raise UsageError(msg)
    click.echo(merge_run(path, output))
