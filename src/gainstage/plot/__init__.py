"""Figures of a run for papers, notebooks and READMEs, in matplotlib: the views of the page.

Every function takes a :class:`~gainstage.run.Run`, a watch or a recording and returns a
:class:`matplotlib.figure.Figure` that no window and no global state knows of: show it in a
notebook, or ``figure.savefig("levels.png")``.
"""

from gainstage.plot.curves import compare as compare
from gainstage.plot.curves import loss as loss
from gainstage.plot.curves import updates as updates
from gainstage.plot.meters import heatmap as heatmap
from gainstage.plot.meters import levels as levels
from gainstage.plot.ridges import histograms as histograms

__all__ = ["compare", "heatmap", "histograms", "levels", "loss", "updates"]
