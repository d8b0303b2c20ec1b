"""A recording as a pandas frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gainstage.errors import MissingExtraError
from gainstage.recording import Recording

if TYPE_CHECKING:
    import pandas as pd


def to_frame(recording: Recording) -> pd.DataFrame:
    """All numbers of a recording: one row a step, one float32 column a series.

    Args:
        recording: any.

    Returns:
        The index is ``step``; the columns are named by (site, kind, quantity).

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415  # an optional dependency, slow to import
    except ImportError as error:
        msg = "A pandas frame needs pandas: run `pip install 'gainstage[frame]'`."
        raise MissingExtraError(msg) from error
    names = [
        (site, quantity) for site in recording.sites for quantity in recording.quantities(site)
    ]
    values = np.empty((len(names), len(recording.steps)), dtype=np.float32)
    for row, (site, quantity) in enumerate(names):
        values[row] = recording.values(site, quantity)
    columns = pd.MultiIndex.from_tuples(
        [(site.name, site.kind, quantity) for site, quantity in names],
        names=["site", "kind", "quantity"],
    )
    return pd.DataFrame(
        values.T, index=pd.Index(recording.steps, name="step"), columns=columns, copy=False
    )
