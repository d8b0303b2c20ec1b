"""The figures that we draw: matplotlib's, and a notebook shows them as they are."""

from __future__ import annotations

import io

from matplotlib.figure import Figure as Plain


class Figure(Plain):
    """A figure that is the value of a cell is seen under it, with no pyplot and no magic."""

    def _repr_png_(self) -> bytes:
        """For Jupyter and marimo."""
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
