"""A run of many ranks written as one ordinary file: what it costs to keep, whatever the ranks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gainstage.records import Series
from gainstage.store.amend import save_remedies
from gainstage.store.merged import MergedRecording
from gainstage.store.ranks import SUFFIX
from gainstage.store.writer import Writer


def merge_run(run: str | os.PathLike[str], target: str | os.PathLike[str] | None = None) -> Path:
    """Write the merged view of a run as one file, of the size that one process would have written.

    Args:
        run: the folder of its ranks' files, which stay.
        target: the new file; by default beside the folder, under its name. The folder's name
            then means this file.

    Returns:
        The new file.

    Raises:
        RunFileError: the ranks cannot be read, or the file exists or cannot be written.
    """
    folder = Path(run).absolute()
    target = folder.with_name(folder.name + SUFFIX) if target is None else Path(target)
    with MergedRecording(folder) as merged, merged.held():
        names = [(site, name) for site in merged.sites for name in merged.quantities(site)]
        matrix = np.empty((len(merged.steps), len(names)), dtype=np.float32)
        for column, (site, name) in enumerate(names):
            matrix[:, column] = merged.values(site, name)
        with Writer(target, merged.info) as writer:
            writer.add(merged.sites, [Series(i, s.id, name) for i, (s, name) in enumerate(names)])
            for event in merged.events:
                writer.add_event(event)
            for site in merged.sites:
                for window, histogram in merged.windows(site).items():
                    writer.add_window(site.id, window, histogram)
            for step, row, time in zip(merged.steps, matrix, merged.times, strict=True):
                writer.write_frame(int(step), row, float(time))
            writer.finish(merged.info)
        if merged.remedies:
            save_remedies(target, merged.remedies)
    return target
